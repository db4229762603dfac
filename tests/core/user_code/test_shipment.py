"""The user's modules in a process that has none of their files."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from forwardtrader.core.user_code.modules import user_module
from forwardtrader.core.user_code.shipment import Shipment
from tests import PATIENCE_S, ROOT

OPENS = """
import pickle, sys
from forwardtrader.core.user_code.modules import user_module
from forwardtrader.core.user_code.shipment import FORGET
forgotten = []
FORGET.append(lambda: forgotten.append(1))
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        shipment, packed = pickle.load(file)
    shipment.unpack()
    shipment.unpack()
    found = user_module("shipped_mine.py", "a test")
    made = pickle.loads(packed)
    print(found.Mine().said(), made.said(), type(made) is found.Mine, user_module("shipped_pack.inner", "a test").VALUE)
print(len(forgotten))
"""


def packed(path: Path) -> None:
    module = user_module("shipped_mine.py", "a test")
    shipment = replace(Shipment.of_this_process(), origin="elsewhere")
    kept = {place: text for place, text in shipment.texts.items() if place.startswith("shipped_")}
    path.write_bytes(pickle.dumps((replace(shipment, texts=kept), pickle.dumps(module.Mine()))))


def written(value: int) -> None:
    Path("shipped_beside.py").write_text(f"VALUE = {value}\n")
    Path("shipped_mine.py").write_text(
        "from shipped_beside import VALUE\nimport shipped_pack.outer\nclass Mine:\n    def said(self):\n        return VALUE\n"
    )


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("shipped_")]:
        del sys.modules[name]


def test_classes_and_files_mean_there_what_they_mean_here_and_an_edited_file_replaces_its_forerunner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("shipped_pack").mkdir()
    for name, text in (("__init__", ""), ("outer", ""), ("inner", "VALUE = 'never imported here'\n")):
        Path(f"shipped_pack/{name}.py").write_text(text)
    for value in (1, 20):  # of another length, so that no compiled file of the first is taken for the second
        written(value)
        packed(tmp_path / f"{value}.pickle")
        forget()
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", OPENS, str(tmp_path / "1.pickle"), str(tmp_path / "20.pickle")],
        cwd=tmp_path / "elsewhere", env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["1 1 True never imported here", "20 20 True never imported here", "2"], done.stderr


def test_nothing_is_unpacked_where_it_came_from() -> None:
    before = list(sys.path)
    Shipment.of_this_process().unpack()
    assert sys.path == before
    assert user_module(__name__, "a test").__file__ == __file__


def test_what_is_installed_or_ours_does_not_travel() -> None:
    shipment = Shipment.of_this_process()
    assert "tests/core/user_code/test_shipment.py" in shipment.texts
    assert {name.partition(".")[0] for name in shipment.names.values()}.isdisjoint({"numpy", "pytest", "forwardtrader"})
