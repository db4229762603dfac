"""Weights that others trained: read as numbers, never as code, and named by a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from forwardtrader.core.errors import ForecasterFailed

LACKING: Final = "foundation models need torch and transformers: pip install 'forwardtrader[foundation]'"


def network(kind: str, name: str, load: Callable[[], Any]) -> Any:
    """What `load` reads, ready to answer; its errors in one line.

    Args:
        kind: of the checkpoint, for the message.
        name: its folder, or its name on the Hugging Face hub.

    Raises:
        ForecasterFailed: there is no such checkpoint, or none with weights in safetensors: pickled ones could run code.
    """
    try:
        from transformers.utils import logging

        logging.disable_progress_bar()
        return load().eval()
    except ImportError as error:
        raise ForecasterFailed(LACKING) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ForecasterFailed(f"{name} is no {kind} checkpoint with weights in safetensors that could be loaded: {reason}") from error


def digest_of(*networks: Any) -> str:
    """The same for the same numbers under the same names."""
    digest = hashlib.sha256()
    for each in networks:
        for key, value in sorted(each.state_dict().items()):
            digest.update(key.encode() + value.cpu().float().numpy().tobytes())
    return digest.hexdigest()


def file_of(name: str, file: str) -> str:
    """The path of a file of a folder, or of that name on the Hugging Face hub. Raises OSError where there is none."""
    from transformers.utils import cached_file

    return str(cached_file(name, file))
