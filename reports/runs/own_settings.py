"""What a run's settings have in place of the defaults, from which runs that look alike are told apart."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

from forwardtrader.core.config import RETIRED
from forwardtrader.core.settings import Settings

# What every list of runs shows anyway, and what decides neither trades nor numbers: places, speed, output.
_SHOWN: Final = {"feeds.symbols", "feeds.timeframe", "models.forecaster"}
_IDLE: Final = {
    "feeds.source", "feeds.store_path", "feeds.cache_minutes", "feeds.request_timeout_s", "feeds.max_file_mb", "feeds.fallback_exchanges",
    "models.save_path", "models.jobs", "models.cluster", "models.cache", "models.compared", "models.baselines",
}  # fmt: skip
_IDLE_ROOMS: Final = {"reports", "live"}


def own_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """By `room.key` every setting of a run that is not the default, in the order of the settings.

    Args:
        config: of `run.json`; keys that no room knows are told too, rooms that are no mappings are not.
    """
    found: dict[str, Any] = {}
    for room, held in config.items():
        if room in _IDLE_ROOMS or not isinstance(held, Mapping):
            continue
        usual = _defaults().get(room, {})
        found |= {f"{room}.{key}": value for key, value in held.items() if key not in usual or usual[key] != value}
    return {key: value for key, value in found.items() if key not in _SHOWN | _IDLE | set(RETIRED)}


def written(key: str, value: Any) -> str:
    """`units 32`: one setting in a name, without its room."""
    if value is True:
        return key.partition(".")[2]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {held}" for name, held in value.items()) or f"no {key.partition('.')[2]}"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else "none" if value in (None, "") else str(value)
    return f"{key.partition('.')[2]} {text}"


def strategy_of(command: str) -> str:
    """The strategy that a command names, with its parameters; "" where it is the one that comes along."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    named = _given(words, "--strategy")[-1:]
    return " ".join([*map(short, named), *_given(words, "--param")]) if named else ""


def short(spec: str) -> str:
    """`MODULE:NAME` without the folders of a file."""
    return spec.rpartition("/")[2]


def _given(words: list[str], flag: str) -> list[str]:
    apart = [word for before, word in pairwise(words) if before == flag]
    return apart + [word.partition("=")[2] for word in words if word.startswith(f"{flag}=")]


@cache
def _defaults() -> dict[str, Any]:
    return Settings().model_dump(mode="json")
