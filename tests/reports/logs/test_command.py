"""`forwardtrader logs`: which log is meant, and which of its lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.reports.flags import logs_parser
from forwardtrader.reports.logs.command import main, show
from tests import PATIENCE_S

CLOCK = FixedClock(datetime(2026, 1, 31, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two sessions and a run; the run's log is the newest."""
    (tmp_path / "config.yaml").write_text("feeds:\n  timeframe: 1h\n")
    monkeypatch.chdir(tmp_path)
    for number, (folder, facts) in enumerate(
        [("var/sessions/btc", {"symbol": "BTC/USDT"}), ("var/sessions/btc-2", {}), ("reports/output/20260131-one", {})]
    ):
        written(tmp_path / folder / "log.jsonl", [entry("begun", "info", "10:00"), entry("orders_refused", "warning", "11:30", **facts)])
        os.utime(tmp_path / folder / "log.jsonl", (1000 + number, 1000 + number))
    return tmp_path


def entry(event: str, level: str, at: str, **facts: Any) -> dict[str, Any]:
    return {"at": f"2026-01-31T{at}:00.000+00:00", "level": level, "room": "live", "event": event, **facts}


def written(path: Path, entries: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in entries))


def asked(*words: str) -> int:
    return show(logs_parser().parse_args(words), CLOCK, lambda: None)


def events(text: str) -> list[str]:
    return [line.split()[4] for line in text.splitlines()]


def test_a_session_is_named_by_its_name_even_where_another_one_begins_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("btc") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "2026-01-31 11:30:00.000  warning live       orders_refused             symbol=BTC/USDT"
    )


def test_without_a_name_the_log_that_was_written_last_is_shown_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == 0
    assert capsys.readouterr().err == "reports/output/20260131-one/log.jsonl\n"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--level", "warning"], ["orders_refused"]),
        (["--event", "begun"], ["begun"]),
        (["--event", "begun", "--event", "orders_refused"], ["begun", "orders_refused"]),
        (["--since", "1h"], ["orders_refused"]),
        (["--since", "2026-01-31T11:30"], ["orders_refused"]),
        (["--since", "2026-01-31T12:30+01:00"], ["orders_refused"]),
        (["--since", "2d"], ["begun", "orders_refused"]),
        (["--level", "error"], []),
    ],
)
def test_lines_are_chosen_by_level_event_and_age(words: list[str], shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("2026", *words) == 0
    assert events(capsys.readouterr().out) == shown
    assert asked("2026", *words, "--json") == 0
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bt"], "'bt' may be var/sessions/btc, var/sessions/btc-2; name one of them"),
        (["btd"], "no session or run 'btd' has a log in var/sessions or reports/output; did you mean 'btc'?"),
        (["elsewhere/log.jsonl"], "there is no log elsewhere/log.jsonl"),
        (["btc", "--since", "yesterday"], "--since 'yesterday' is neither a span nor a time; write it as 1h, 2d or 2026-01-31T12:00"),
        (["btc", "--level", "loud"], "argument --level: invalid choice: 'loud'"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(said) and err.count("\n") == 1


def test_a_project_without_logs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.yaml").write_text("feeds:\n  timeframe: 1h\n")
    monkeypatch.chdir(tmp_path / "empty")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("there is no log yet: neither var/log.jsonl nor one of a session or run")


def test_lines_that_are_none_are_counted_and_nothing_in_a_line_steers_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "var/sessions/odd/log.jsonl"
    written(path, [entry("told", "error", "11:00", text="\x1b[2Jgone\x9b1m [bold]red[/] \ud800", traceback="Traceback:\n  \x1b[1mone")])
    with path.open("ab") as file:
        file.write(b'{"at": "2026-01\n\xff\xfe\n[]\n{"at": "9999-99-99", "level": 1}\n')
    assert asked("odd") == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out and "\x9b" not in out and "[bold]red[/]" in out
    assert out.splitlines()[1:] == ["    Traceback:", "      ?[1mone"]
    assert err == "4 lines of var/sessions/odd/log.jsonl are no events: torn when the machine stopped, or written by somebody else\n"


def test_a_log_is_followed_until_ctrl_c(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, steps = project / "var/sessions/btc/log.jsonl", iter([entry("later", "info", "11:59")])

    def wait() -> None:
        if (step := next(steps, None)) is None:
            raise KeyboardInterrupt
        with path.open("a") as file:
            file.write(json.dumps(step) + "\n")

    assert show(logs_parser().parse_args(["btc", "--follow"]), CLOCK, wait) == 130
    assert events(capsys.readouterr().out) == ["begun", "orders_refused", "later"]


def test_whoever_reads_the_first_line_only_sees_no_error(project: Path) -> None:
    written(project / "var/sessions/long/log.jsonl", [entry("begun", "info", "10:00", text="x" * 100)] * 5000)
    command = f"{sys.executable} -m forwardtrader logs long --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")
