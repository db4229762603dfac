"""Modules of the user's on their way to a worker elsewhere: their text, under the names that they have here.

What is pickled names its class by module, and a forecaster is named by a file; on a machine that has neither, both have to mean the same.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from forwardtrader.core.user_code.errors import is_a_users
from forwardtrader.core.user_code.modules import receive

_HERE: Final = uuid.uuid4().hex
_LOCK: Final = threading.Lock()
_unpacked: Final[dict[str, str]] = {}  # the one in force, by its digest: where it lies
# What was kept of code that another shipment replaced.
FORGET: Final[list[Callable[[], None]]] = []


@dataclass(frozen=True)
class Shipment:
    """The user's modules of a process.

    Attributes:
        folder: the working directory there, which files are named from.
        names: of the modules, by the file that each was read from.
        texts: by the path below a folder that is searched for modules.
        origin: of the process.
    """

    folder: str
    names: Mapping[str, str]
    texts: Mapping[str, bytes]
    origin: str = field(default=_HERE)

    @classmethod
    def of_this_process(cls) -> Shipment:
        """All that are imported here; of a package all its modules, since some may be imported later."""
        names, files, packages = {}, {}, {}
        for name, file in _imported():
            names[str(file)], place = name, _place(name, file)
            files[place] = file
            if "/" in place:
                packages[place.partition("/")[0]] = file.parents[place.count("/") - 1]
        for top, root in packages.items():
            files |= {f"{top}/{each.relative_to(root)}": each for each in root.rglob("*.py") if root.name == top}
        return cls(str(Path.cwd()), names, {place: file.read_bytes() for place, file in files.items()})

    @cached_property
    def digest(self) -> str:
        """Of the folder and of every text."""
        found = hashlib.sha256(self.folder.encode())
        for place, text in sorted(self.texts.items()):
            found.update(f"{place} {len(text)} ".encode() + text)
        return found.hexdigest()

    def unpack(self) -> None:
        """Have these modules found here by their names, and by the names of their files, in place of those that came before."""
        if self.origin == _HERE or self.digest in _unpacked:
            return
        with _LOCK:
            if self.digest in _unpacked:
                return
            root = Path(tempfile.mkdtemp(prefix="forwardtrader-code-")).resolve()
            atexit.register(shutil.rmtree, root, ignore_errors=True)
            for place, text in self.texts.items():
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).write_bytes(text)
            sys.path[:] = [str(root), *(each for each in sys.path if each not in _unpacked.values())]
            self._forget_others(root)
            receive(self.names, self.folder)
            _unpacked.clear()
            _unpacked[self.digest] = str(root)

    def _forget_others(self, root: Path) -> None:
        tops = {place.partition("/")[0].removesuffix(".py") for place in self.texts}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            came_before = any(file.startswith(each) for each in _unpacked.values())
            if came_before or (name.partition(".")[0] in tops and name != "__main__" and not file.startswith(str(root))):
                del sys.modules[name]
        importlib.invalidate_caches()
        for forget in FORGET:
            forget()


def _imported() -> Iterator[tuple[str, Path]]:
    """The user's modules of this process with their files."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.startswith("__") or not isinstance(file, str) or not file.endswith(".py"):
            continue
        if is_a_users(file) and Path(file).is_file():
            yield name, Path(file).resolve()


def _place(name: str, file: Path) -> str:
    """Where a module lies below a folder that is searched."""
    return name.replace(".", "/") + ("/__init__.py" if file.name == "__init__.py" else ".py")
