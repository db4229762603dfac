from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.reports import artefacts
from forwardtrader.reports.__main__ import main
from forwardtrader.reports.rebuild import rebuild
from tests.reports import simulated, simulated_session
from tests.reports.pages.test_sweep_page import swept


def test_the_pages_of_a_run_are_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artefacts.save(tmp_path / "run", simulated.run(100))
    assert main([str(tmp_path / "run")]) == 0
    assert [Path(line).name for line in capsys.readouterr().out.split()] == ["index.html", "tearsheet.html"]
    assert 'href="tearsheet.html"' in (tmp_path / "run" / "index.html").read_text(encoding="utf-8")


def test_a_folder_of_runs_gets_its_index_too(tmp_path: Path) -> None:
    artefacts.save(tmp_path / "run", simulated.run(100))
    assert [page.relative_to(tmp_path) for page in rebuild(tmp_path, tmp_path / "sessions")][-1] == Path("index.html")


def test_a_session_gets_its_own_page(tmp_path: Path) -> None:
    simulated_session.write(tmp_path, bars=0)
    assert rebuild(tmp_path, tmp_path / "sessions") == [tmp_path / "index.html"]


def test_the_page_of_a_sweep_is_made_again_alone_and_among_runs(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "sweep", 2)
    assert rebuild(sweep, tmp_path / "sessions") == [sweep / "index.html"]
    artefacts.save(tmp_path / "run", simulated.run(100))
    (sweep / "index.html").unlink()
    assert sweep / "index.html" in rebuild(tmp_path, tmp_path / "sessions")
    assert "sweep" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_folder_of_nothing_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
