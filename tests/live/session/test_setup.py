"""The setup of a session: the plan of its first start holds for every later one."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, StartRefused, StoreDamaged, UnknownSymbol
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.settings import LearningSettings
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.request import read_request
from forwardtrader.live.session.setup import _upgraded, open_market
from tests.live.session_runner import request_for, run


def test_factors_of_a_plan_of_another_version_are_the_same_where_both_say_the_same() -> None:
    planned = [{"file": "f.csv", "name": "", "column": "", "known_after": "1d", "max_age": None}]  # as earlier versions wrote them
    now = [FactorSettings(file="f.csv", known_after=timedelta(days=1)).model_dump(mode="json")]
    assert _upgraded("factors", planned, now) == now
    assert _upgraded("factors", [{"file": ""}], now) != now
    assert _upgraded("factors", [], []) == []


def test_a_session_of_before_intervals_were_corrected_goes_on_as_it_began() -> None:
    now = LearningSettings().model_dump(mode="json")
    planned = {key: value for key, value in now.items() if key != "intervals"}
    assert _upgraded("learning", planned, now) == {**now, "intervals": False}


def test_a_session_cannot_go_on_with_other_symbols(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    with pytest.raises(StartRefused, match="symbols"):
        run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))


def test_a_session_of_another_version_is_resumed_when_the_settings_that_both_know_are_equal(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    path = tmp_path / "one" / "plan.json"
    plan = json.loads(path.read_text())
    plan["models"]["carry"] = 2.0  # a setting that is gone
    del plan["strategies"]["min_trade"]  # one that this version brought
    path.write_text(json.dumps(plan))
    assert run(request_for(tmp_path, "one", 3)) == 0
    plan["models"]["units"] += 1
    path.write_text(json.dumps(plan))
    with pytest.raises(StartRefused, match=r"was started with models.units \d+, not"):
        run(request_for(tmp_path, "one", 3))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"first_live": 1}', b'{"first_live": "soon"}', b"[" * 100_000])
def test_a_damaged_plan_is_one_line_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "plan.json").write_bytes(content)
    (tmp_path / "one" / "session.db").touch()
    with pytest.raises(
        ConfigError, match=r"plan.json is damaged; put a copy of it back, or start a session of another name with --session"
    ):
        run(request_for(tmp_path, "one", 3))


def test_a_session_whose_record_is_gone_is_not_begun_anew_in_its_place(tmp_path: Path) -> None:
    request = request_for(tmp_path, "one", 3, symbols=("BTC/USDT",))
    assert run(request) == 0
    kept = (tmp_path / "one" / "session.db").rename(tmp_path / "copy.db")
    with pytest.raises(StoreDamaged, match=r"session.db is gone; put a copy of it back, or start a session of another name"):
        run(request)
    kept.rename(tmp_path / "one" / "session.db")
    assert run(request) == 0
    with closing(SessionStore(tmp_path / "one" / "session.db", reads=True)) as store:
        assert len(store.bars("BTC/USDT")) == 6


def test_all_that_a_session_writes_is_for_its_user_only_also_what_others_could_read_before(tmp_path: Path) -> None:
    request = request_for(tmp_path, "one", 3)
    assert run(request) == 0
    folder = tmp_path / "one"
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    assert run(request) == 0
    found = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))}
    assert {name for name, others in found.items() if others} == set()


def test_a_session_whose_folder_holds_a_link_out_of_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "log.jsonl").symlink_to(tmp_path / "another.txt")
    with pytest.raises(ConfigError, match="is a link that leads out of"):
        run(request_for(tmp_path, "one", 3))
    assert not (tmp_path / "another.txt").exists()


@pytest.mark.parametrize(
    ("symbols", "line"),
    [
        (("BTC/USD:BTC",), "inverse contract"), (("BTC/USDT:USDT-261225",), "dated future"), (("BTC/USDT:USDC",), "quanto contract"),
        (("BTC/USDT:USDT", "ETH/USDC:USDC"), "one account has one settle currency"),
        (("BTC/USDT:USDT", "ETH/USDT"), "is spot and"),
    ],
)  # fmt: skip
def test_contracts_that_no_account_trades_or_not_together_are_one_line_before_anything_is_loaded(
    tmp_path: Path, symbols: tuple[str, ...], line: str
) -> None:
    with pytest.raises(UnknownSymbol, match=line) as refused:
        run(request_for(tmp_path, "one", 3, symbols=symbols))
    assert refused.value.exit_code == 2
    assert not (tmp_path / "one" / "plan.json").exists()


def test_perpetuals_of_a_venue_whose_accounts_are_not_known_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    words = ["--live", "--yes-real-money", "--exchange", "kraken", "--symbol", "BTC/USDT:USDT", "--session", "one"]
    request = read_request([*words, "--set", f"live.sessions_path={tmp_path}"])
    with pytest.raises(ConfigError, match="perpetuals are not traded at kraken yet; take --exchange binance or"):
        open_market(request, None, SystemClock())
