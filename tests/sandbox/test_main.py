"""`python -m sandbox`: its first line, and one line for every mistake."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from forwardtrader.sandbox.__main__ import main
from forwardtrader.sandbox.control import Control
from forwardtrader.sandbox.faults.catalogue import CATALOGUE, read_faults
from forwardtrader.sandbox.flags import sandbox_parser
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.process import start_sandbox
from forwardtrader.sandbox.server import SandboxServer
from tests import ROOT
from tests.sandbox.small_market import FLAT, candle_file

pytestmark = pytest.mark.executes


def test_the_first_line_says_all_that_a_client_needs() -> None:
    with start_sandbox(seed=7, speed="lockstep") as venue:
        assert venue.url.startswith("http://127.0.0.1:")
        assert (venue.protocol, venue.symbols, venue.seed) == ("binance", ["BTC/USDT"], 7)
        assert venue.state()["market_time"] == 1_704_067_200_000 + 500 * 60_000
        assert len(venue.admin_token) >= 20


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def mistakes(folder: Path) -> list[tuple[list[str], str]]:
    broken, unknown, backwards, short = folder / "broken.csv", folder / "faults.yaml", folder / "back.csv", folder / "short.csv"
    broken.write_text("timestamp,open,high,low,close,volume\n2024-01-01T00:00:00Z,1,2,3,4,5\n")
    backwards.write_text("timestamp,open,high,low,close,volume\n120000,1,1,1,1,1\n60000,1,1,1,1,1\n")
    unknown.write_text("F99: {}\n")
    candle_file(short, [FLAT] * 3)
    return [
        (["--market", str(folder / "missing.csv")], "does not exist"),
        (["--market", str(broken)], "line 2"),
        (["--market", str(backwards)], "must rise"),
        (["--market", str(short)], "leave nothing to trade"),
        (["--market", "ETC/USDT=x.csv"], "not among the symbols"),
        (["--faults", str(unknown)], "no such fault"),
        (["--faults", str(folder / "none.yaml")], "cannot be read"),
        (["--speed", "0"], "above 0"),
        (["--speed", "nan"], "above 0"),
        (["--speed", "warp"], "lockstep"),
        (["--timeframe", "7x"], "timeframe"),
        (["--symbol", "BTCUSDT"], "BASE/QUOTE"),
        (["--symbol", "BTC/USDT:BTC"], "for a perpetual"),
        (["--balance", "USDT"], "NAME=VALUE"),
        (["--balance", "USDT=-5"], "balance"),
        (["--history", "0"], "--history"),
        (["--settings", "{"], "JSON"),
        (["--settings", '{"sped": 1}'], "sped"),
        (["--settings", '{"rules": {"BTC/USDT": {"tick": "1e-400"}}}'], "tick"),
        (["--settings", '{"more_keys": {"": "x"}}'], "more-keys"),
        (["--settings", '{"read_lag_s": {"tradez": 1}}'], "tradez"),
        (["--settings", '{"balances": {"USDT": "NaN"}}'], "finite"),
        (["--history", "99999999999"], "--history"),
        (["--state", str(broken)], "cannot be used"),
    ]


@pytest.mark.parametrize("number", range(24))
def test_a_mistake_is_one_line_and_exit_code_two(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv, words = mistakes(tmp_path)[number]
    assert main(["--port", "0", *argv]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed


def test_a_fault_file_is_in_force_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"F1": {"count": 2}, "F27": {"after_bars": 3}}))
    with start_sandbox(speed="lockstep", faults=read_faults(path)) as venue:
        assert set(venue.state()["faults"]) == {"F1", "F27"}
        venue.advance(3)
        assert not venue.state()["symbols"]["BTC/USDT"]["open"]


def test_the_guide_names_every_flag_command_and_switch() -> None:
    guide = (ROOT / "docs" / "sandbox.md").read_text()
    for action in sandbox_parser()._actions:
        assert action.dest in ("help", "port", "protocol") or f"`{action.option_strings[0]}`" in guide, action.dest
    for name, fault in CATALOGUE.items():
        assert f"| {name} |" in guide
        assert fault.title in guide
    server = SandboxServer(SandboxSettings(speed="lockstep"))
    control = Control(server.exchange, server.parent, lambda: None)
    for command in control.commands:
        assert f"`{command}" in guide, command
