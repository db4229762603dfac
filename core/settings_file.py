"""`config.yaml` as it ships: every setting with its default and what it means.

`python -m forwardtrader.core.settings_file` prints it.
"""

from __future__ import annotations

import sys

import yaml
from pydantic import BaseModel

from forwardtrader.core.settings import Settings

HEAD = """\
# Every setting with its default. Flags override this file, this file overrides the built-in defaults.
# Secrets never stand here: they come from the environment or .env.
"""


def settings_file(settings: Settings) -> str:
    """The YAML text: one mapping per room, one comment per key."""
    parts = [HEAD]
    for room in type(settings).model_fields:
        part: BaseModel = getattr(settings, room)
        parts.append(f"\n# {(type(part).__doc__ or '').splitlines()[0]}\n{room}:\n")
        values = part.model_dump(mode="json")
        parts.extend(f"  {key}: {_scalar(values[key])}  # {field.description}\n" for key, field in type(part).model_fields.items())
    return "".join(parts)


def _scalar(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.stdout.write(settings_file(Settings()))
