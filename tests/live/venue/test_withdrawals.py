"""Whether a key may withdraw: asked with the real classes of ccxt, said as it is known, and never taken for a no where it is unknown."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.feeds.live.client import open_client
from forwardtrader.live.cli import command
from forwardtrader.live.preflight.consent import require_consent
from forwardtrader.live.venue.identity import real_account
from forwardtrader.live.venue.keys import api_keys, ccxt_credentials
from forwardtrader.live.venue.retry import VenueQueries
from forwardtrader.live.venue.withdrawals import WithdrawalRight, fetch_withdrawal_right, require_no_withdrawals
from forwardtrader.sandbox.process import start_sandbox
from tests.live.market import practice, store_on
from tests.live.test_bad_input import words

PRICES = {"BTC/USDT": 40_000.0}
ACCOUNT = real_account("binance", "", "key", ("BTC/USDT",))
UNSURE = "whether this key may withdraw; make sure that it may not"
SAID = {"no": "the key cannot withdraw", "unanswered": f"was asked and did not say {UNSURE}"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIVE_ALLOW_WITHDRAWAL_KEY", raising=False)


def right_at(name: str, url: str, keys: dict[str, str]) -> WithdrawalRight:
    async def ask() -> WithdrawalRight:
        client = open_client(name, keys=keys, base_url=url)
        try:
            return await fetch_withdrawal_right(client, VenueQueries(client, 0.01))
        finally:
            await client.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
@pytest.mark.parametrize(("said", "may"), [("yes", True), ("no", False), ("unanswered", None)])
def test_the_practice_exchange_is_asked_as_the_venue_would_be(protocol: str, said: str, may: bool | None) -> None:
    with practice(protocol=protocol, withdrawals=said) as venue:
        assert right_at(protocol, venue.url, ccxt_credentials(venue.api_key, venue.api_secret)).may is may


class Venue(ThreadingHTTPServer):
    """Answers everything with the same JSON, and keeps what it was asked."""

    def __init__(self, answer: Any, code: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answer, self.code = answer, code
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Venue

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(self.server.answer).encode()
        self.send_response(self.server.code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def answering(answer: Any, code: int = 200) -> Iterator[Venue]:
    venue = Venue(answer, code)
    try:
        yield venue
    finally:
        venue.shutdown()
        venue.server_close()


def okx(perm: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": [{"acctLv": "1", "perm": perm}]}


def kucoin(permission: str) -> dict[str, Any]:
    return {"code": "200000", "data": {"apiKey": "key", "permission": permission}}


def kraken(*rights: str) -> dict[str, Any]:
    return {"error": [], "result": {"apiKeyName": "bot", "permissions": list(rights)}}


@pytest.mark.parametrize(
    ("name", "answer", "asked", "may"),
    [
        ("okx", okx("read_only,withdraw,trade"), "GET /api/v5/account/config", True),
        ("okx", okx("read_only,trade"), "GET /api/v5/account/config", False),
        ("okx", okx(""), "GET /api/v5/account/config", None),
        ("okx", {"code": "0", "msg": "", "data": []}, "GET /api/v5/account/config", None),
        ("kraken", kraken("query-funds", "modify-trades"), "POST /0/private/GetApiKeyInfo", False),
        ("kraken", kraken("query-funds", "withdraw-funds"), "POST /0/private/GetApiKeyInfo", True),
        ("kraken", kraken(), "POST /0/private/GetApiKeyInfo", None),
        ("kraken", {"error": ["EGeneral:Unknown method"]}, "POST /0/private/GetApiKeyInfo", None),
        ("kucoin", kucoin("General,Spot"), "GET /api/v1/user/api-key", False),
        ("kucoin", kucoin("General,Spot,Transfer"), "GET /api/v1/user/api-key", True),
        ("kucoin", kucoin("General,InnerTransfer"), "GET /api/v1/user/api-key", False),
        ("kucoin", kucoin(""), "GET /api/v1/user/api-key", None),
        ("coinbase", {"can_view": True, "can_transfer": False}, "GET /api/v3/brokerage/key_permissions", False),
        ("coinbase", {"can_view": True, "can_transfer": True}, "GET /api/v3/brokerage/key_permissions", True),
        ("coinbase", {"can_view": True}, "GET /api/v3/brokerage/key_permissions", None),
        ("binance", {"enableWithdrawals": True}, "GET /sapi/v1/account/apiRestrictions", True),
        ("binance", {"ipRestrict": True}, "GET /sapi/v1/account/apiRestrictions", None),
        ("binance", ["strange"], "GET /sapi/v1/account/apiRestrictions", None),
        ("bybit", {"retCode": 0, "result": {"permissions": {"Spot": []}}}, "GET /v5/user/query-api", None),
        ("bybit", {"retCode": 0, "result": {"permissions": {"Wallet": []}}}, "GET /v5/user/query-api", False),
    ],
)
def test_an_answer_is_read_as_the_venue_documents_it(name: str, answer: Any, asked: str, may: bool | None) -> None:
    with answering(answer) as venue:
        right = right_at(name, venue.url, ccxt_credentials("key", "c2VjcmV0", "phrase"))
        assert (right.may, set(venue.asked)) == (may, {asked})


@pytest.mark.parametrize(("answer", "code"), [({}, 404), ({}, 500), ("<html>", 200)])
def test_a_venue_that_does_not_answer_leaves_it_unknown(answer: Any, code: int) -> None:
    with answering(answer, code) as venue:
        assert right_at("binance", venue.url, ccxt_credentials("key", "secret")) == WithdrawalRight(
            None, "binance was asked and did not say"
        )


def test_a_venue_that_cannot_be_asked_is_not_asked() -> None:
    with answering({}) as venue:
        right = right_at("bitstamp", venue.url, ccxt_credentials("key", "secret"))
        assert (right.text, venue.asked) == (f"unknown: the venue cannot be asked {UNSURE}", [])


def test_a_key_that_may_withdraw_is_refused_unless_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for may in (None, False):
        require_no_withdrawals(WithdrawalRight(may))
    with pytest.raises(ConfigError, match="may withdraw"):
        require_no_withdrawals(WithdrawalRight(True))
    Path(".env").write_text("LIVE_ALLOW_WITHDRAWAL_KEY=1\n")
    require_no_withdrawals(WithdrawalRight(True))
    monkeypatch.setenv("LIVE_ALLOW_WITHDRAWAL_KEY", "0")
    with pytest.raises(ConfigError, match="may withdraw"):
        require_no_withdrawals(WithdrawalRight(True))


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
@pytest.mark.parametrize("said", ["yes", "no", "unanswered"])
def test_check_says_what_is_known_of_the_key(
    protocol: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_sandbox(protocol=protocol, speed=1.0, history=100, withdrawals=said) as venue:
        monkeypatch.setenv(f"{protocol.upper()}_API_KEY", venue.api_key)
        monkeypatch.setenv(f"{protocol.upper()}_API_SECRET", venue.api_secret)
        asked = words(tmp_path, venue.url, "--check", "--live", "--yes-real-money", "--exchange", protocol, "--set", "live.telegram=false")
        code = command(asked, SystemClock())
    shown = " ".join(capsys.readouterr().out.split())
    if said == "yes":
        assert code == 2 and "FAIL account: this API key may withdraw" in shown
    else:
        assert code == 0 and SAID[said] in shown
        assert ("the key cannot withdraw" in shown) is (said == "no")


@pytest.mark.parametrize(
    ("said", "question"), [("no", "type BTC/USDT"), ("unanswered", "make sure that this key may not withdraw, then type")]
)
def test_the_question_before_real_orders_says_what_is_not_known(said: str, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    with consent_at(said) as store:
        require_consent(store, ("BTC/USDT",), 1, Console(), lambda text: heard.append(text) or "BTC/USDT", account=ACCOUNT, prices=PRICES)
    assert heard[0].startswith(question)
    assert SAID[said] in " ".join(capsys.readouterr().out.split())


def test_a_key_that_may_withdraw_ends_the_start_before_the_question() -> None:
    with consent_at("yes") as store, pytest.raises(ConfigError, match="may withdraw"):
        require_consent(store, ("BTC/USDT",), 1, Console(), lambda _text: pytest.fail("asked"), account=ACCOUNT, prices=PRICES)


@contextmanager
def consent_at(said: str) -> Iterator[Any]:
    with practice(withdrawals=said) as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            yield store
        finally:
            store.stop()


def test_a_passphrase_goes_with_the_key() -> None:
    known = {"OKX_API_KEY": "k", "OKX_API_SECRET": "s", "OKX_PASSPHRASE": "p"}
    assert ccxt_credentials(**api_keys("okx", known)) == {"apiKey": "k", "secret": "s", "password": "p"}
