"""What people get wrong with `run_live.py`: one clear line that names the mend, the exit code of its class, and no order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live import control
from forwardtrader.live.cli import command
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.preflight.start_retry import until_reachable
from forwardtrader.live.request import read_request
from forwardtrader.live.session.setup import open_market
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox

REAL = ("--live", "--yes-real-money", "--yes-real-money")


@pytest.fixture(scope="module")
def venue() -> Iterator[SandboxHandle]:
    with start_sandbox(speed=1.0, history=4000, seed=3, fee_asset="quote") as handle:
        yield handle


@pytest.fixture
def keys(venue: SandboxHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", venue.api_key)
    monkeypatch.setenv("BINANCE_API_SECRET", venue.api_secret)


@pytest.fixture(autouse=True)
def no_orders(venue: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # no .env of the project, and a log of its own
    yield
    assert venue.orders() == []


def words(folder: Path, url: str, *flags: str) -> list[str]:
    models = folder.parent / "models"  # of all these tests, so that one is trained once
    said = ["--quiet", "--timeframe", "1m", "--set", f"models.save_path={models}", *flags]
    for setting in (
        "models.train_window=1d", "models.retrain_every=1d", "models.seeds=1", "models.epochs=1", "live.start_patience_s=3",
        f"live.sessions_path={folder / 'sessions'}",
        f"live.state_path={folder / 'state.db'}", f"feeds.store_path={folder / 'candles'}", f"feeds.exchange_url={url or chr(39) * 2}",
    ):  # fmt: skip
        said += ["--set", setting]
    return said


def answer(capsys: pytest.CaptureFixture[str], folder: Path, url: str, *flags: str) -> tuple[int, str]:
    """Exit code and what was said on stderr, which is one line."""
    code = command(words(folder, url, *flags), SystemClock())
    said = capsys.readouterr().err.strip()
    assert said and "\n" not in said
    return code, said


@pytest.mark.parametrize(
    ("flags", "code", "pieces"),
    [
        (("--symbol", "BTC/UDST"), 2, ("BTC/UDST", "nearest are BTC/USDT")),
        (("--timeframe", "7m"), 2, ("no 7m candles", "it has 1s, 1m, 3m")),
        (("--timeframe", "soon"), 2, ("'soon' is not known", "1m, 15m, 1h")),
        (("--status", "--session", "none"), 2, ("there is no session 'none'", "--session none")),
        (("--pause", "--session", "none"), 2, ("no session",)),
        (("--set", "feeds.universe=top:3"), 2, ("feeds.universe is for backtests", "--symbol")),
        (("--session", "a" * 300), 2, ("a name of 300 characters", "100 at most")),
        (("--session", ""), 2, ("--session ''", "letters")),
        (("--session=-x",), 2, ("--session '-x'", "letters")),
        (("--status", "--session", ""), 2, ("--session ''", "letters")),
        (("--sesion", "one"), 2, ("--sesion", "did you mean '--session'?")),
        (("--bars", "many"), 2, ("--bars", "many", "--help")),
        (("--bars", "-3"), 2, ("--bars -3", "leave it out")),
        (("--sandbox", "--symbol", "BTC/UDST"), 2, ("BTC/UDST", "nearest are BTC/USDT")),
        (("--sandbox", "--timeframe", "7m"), 2, ("no 7m candles", "1m, 15m, 1h")),
        (("--sandbox", "--exchange", "binanec"), 2, ("'binanec'", "did you mean binance")),
        (("--sandbox", "--timeframe", "1h", "--strategy", "nowhere:Trend"), 2, ("no module nowhere",)),
        (("--sandbox", "--timeframe", "1h", "--set", "strategies.horizon=3"), 2, ("strategies.horizon 3", "models.horizons (1, 4)")),
        (("--sandbox", "--timeframe", "1h"), 2, ("fewer than the 72 that a model learns from", "longer models.train_window")),
    ],
)
def test_a_mistake_is_one_line_that_names_the_mend(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    venue: SandboxHandle,
    flags: tuple[str, ...],
    code: int,
    pieces: tuple[str, ...],
) -> None:
    found, said = answer(capsys, tmp_path, venue.url, *flags)
    assert found == code
    for piece in pieces:
        assert piece in said


def test_an_unreachable_venue_is_waited_for_and_the_practice_exchange_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    without_waiting = partial(until_reachable, sleep=slept.append, monotonic=lambda: sum(slept))
    monkeypatch.setattr("forwardtrader.live.session.assembly.until_reachable", without_waiting)
    said = words(tmp_path, "http://127.0.0.1:9")
    said.remove("--quiet")
    assert command([*said, "--set", "feeds.fallback_exchanges=[]", "--set", "live.start_patience_s=8"], SystemClock()) == 3
    shown = capsys.readouterr()
    assert "--sandbox" in shown.err and "\n" not in shown.err.strip()
    told = " ".join(shown.out.split())
    assert slept == [1, 2, 4, 1]
    assert all(f"trying again in {wait} s" in told for wait in (1, 2, 4))


def test_missing_keys_are_named_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    monkeypatch.setenv("BINANCE_API_SECRET", "x")
    code, said = answer(capsys, tmp_path, "http://127.0.0.1:9", *REAL)
    assert (code, said) == (2, "BINANCE_API_KEY must be set in the environment or .env to trade at binance")


@pytest.mark.parametrize("wrong", ["BINANCE_API_KEY", "BINANCE_API_SECRET"])
def test_wrong_keys_are_the_users_to_mend(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle, keys: None, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv(wrong, "nonsense")
    code, said = answer(capsys, tmp_path, venue.url, *REAL)
    assert code == 2
    assert "look at BINANCE_API_KEY and BINANCE_API_SECRET" in said and "nonsense" not in said


def test_too_little_money_for_the_smallest_order_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle, keys: None
) -> None:
    venue.control("deposit", asset="USDT", amount="-9998")
    try:
        code, said = answer(capsys, tmp_path, venue.url, *REAL)
    finally:
        venue.control("deposit", asset="USDT", amount="9998")
    assert code == 2
    assert re.fullmatch(r"the account holds 2\.0 USDT, the smallest order of BTC/USDT needs 5\.\d+; deposit some first", said)


@pytest.mark.parametrize("mode", ["--paper", "--live"])
def test_too_little_cash_to_practise_with_is_said_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: str
) -> None:
    settings = ("--set", "strategies.cash=2", "--set", f"models.save_path={tmp_path / 'models'}")
    poor = ("--sandbox", mode, "--timeframe", "1h", "--session", "poor", *settings)
    code, said = answer(capsys, tmp_path, "", *poor)
    assert code == 2
    assert re.fullmatch(r"the account holds 2\.0 USDT, the smallest order of BTC/USDT needs 5\.\d+; set strategies\.cash higher", said)
    assert not (tmp_path / "models").exists() and not (tmp_path / "sessions" / "poor" / "plan.json").exists()


def test_too_little_cash_for_paper_at_a_venue_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle) -> None:
    code, said = answer(capsys, tmp_path, venue.url, "--set", "strategies.cash=2")
    assert code == 2 and "needs 5" in said and said.endswith("set strategies.cash higher")


def test_a_clock_that_is_off_ends_the_start(capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle, keys: None) -> None:
    venue.arm("F20", milliseconds=-30_000)
    try:
        code, said = answer(capsys, tmp_path, venue.url, *REAL)
    finally:
        venue.arm("F20", milliseconds=30_000)
    assert code == 2
    assert "clock is +" in said and "off the venue's; set it (NTP)" in said and "no order was sent" in said


def test_a_session_in_use_is_refused_and_so_is_its_account(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle, keys: None
) -> None:
    folder = tmp_path / "sessions" / "one"
    folder.mkdir(parents=True)
    with control.held(control.lock_of(folder), "session 'one'"):
        code, said = answer(capsys, tmp_path, venue.url, "--session", "one")
        assert code == 5 and "session 'one' is in use by another process" in said and "choose another --session" in said


def test_a_session_goes_on_with_the_settings_it_was_begun_with(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, venue: SandboxHandle
) -> None:
    begun = words(tmp_path, venue.url, "--session", "one", "--set", "models.units=4")
    request = read_request(begun)
    SessionStore(request.folder / "session.db").close()
    open_market(request, None, SystemClock())
    code, said = answer(capsys, tmp_path, venue.url, "--session", "one", "--set", "models.units=8")
    assert (code, said) == (5, "session 'one' was started with models.units 4, not 8; keep that, or choose another --session")


@pytest.mark.parametrize("check", [(), ("--check",)])
@pytest.mark.parametrize("address", ["http://10.0.0.1:9", "http://127.0.0.1.example.org"])
def test_keys_are_not_read_for_an_address_that_is_not_encrypted(
    address: str, check: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BINANCE_API_KEY", "BINANCE_API_SECRET"):
        monkeypatch.delenv(name, raising=False)  # what is missing would be asked for
    code = command(words(tmp_path, address, *REAL, *check, "--set", "live.start_patience_s=0"), SystemClock())
    heard = capsys.readouterr()
    assert code in ((2,) if not check else (2, 3))
    assert f"{address} is not encrypted" in " ".join((heard.err + heard.out).split())
    assert "API_KEY" not in heard.err + heard.out
