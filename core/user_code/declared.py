"""Classes and objects of the user's that no module holds, as those typed into a notebook: named for this process alone."""

from __future__ import annotations

import sys
from typing import Final

MODULE: Final = "declared"
_declared: dict[str, object] = {}


def spec_of(thing: object) -> str:
    """`MODULE:NAME` of a class or an object: that of its module, or else one that `declared` knows in this process."""
    name = str(getattr(thing, "__qualname__", type(thing).__name__))
    module = sys.modules.get(str(getattr(thing, "__module__", "")))
    if isinstance(thing, type) and module is not None and module.__name__ != "__main__" and getattr(module, name, None) is thing:
        return f"{module.__name__}:{name}"
    name = name.rpartition(".")[2]
    number, free = 2, name
    while _declared.get(free, thing) is not thing:
        free, number = f"{name}_{number}", number + 1
    _declared[free] = thing
    return f"{MODULE}:{free}"


def declared(name: str) -> object | None:
    """What `spec_of` named so; None where there is nothing."""
    return _declared.get(name)
