"""No secret passes: by its value in whatever form, by the name before it, in signed requests and in addresses."""

from __future__ import annotations

import html
import json
import logging
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core import log
from forwardtrader.core.log import redact, redacted

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nabc+/Def0123456789==\n-----END PRIVATE KEY-----\n"
SECRETS = {
    "COINBASE_API_SECRET": PEM, "OKX_PASSPHRASE": "pa&ss \"w'o\\rd", "TELEGRAM_CHAT_ID": "-1001234567", "BINANCE_API_KEY": "Ab1Cd2Ef3Gh4",
    "BYBIT_APIKEY": "short", "DB_PASSWORD": "jürgen-ß-99", "HTTPS_PROXY": "http://joe:hunter22@proxy.example:80",
}  # fmt: skip


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def forms(value: str) -> dict[str, str]:
    escaped = json.dumps(value)
    return {
        "plain": value, "json": escaped, "json in json": json.dumps({"said": escaped}),
        "json as text": json.dumps(value, ensure_ascii=False),
        "repr": repr(value), "one line": " ".join(value.split()), "url": quote(value, safe=""), "form": quote_plus(value),
        "page": html.escape(value),
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "HTTPS_PROXY"])
def test_a_value_is_struck_out_in_every_form(known: None, name: str) -> None:
    for form, text in forms(SECRETS[name]).items():
        left = redact(f"the venue said {text} to us")
        assert left.replace('"', "").replace("'", "").replace("\\", "").replace("{said: ***}", "***") == "the venue said *** to us", form


def test_one_line_of_a_key_of_several_is_struck_out(known: None) -> None:
    assert redact("at MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg") == "at ***"


def test_a_key_that_stands_escaped_in_the_environment_is_struck_out_as_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINBASE_API_SECRET", PEM.strip().replace("\n", "\\n"))
    assert "abc+/Def" not in redact(f"cannot load {PEM}")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET https://x/api?symbol=A&signature=deadbeef&t=2", "GET https://x/api?symbol=A&signature=***&t=2"),
        ("{'X-BAPI-SIGN': 'deadbeef', 'X-BAPI-TIMESTAMP': '17'}", "{'X-BAPI-SIGN': '***', 'X-BAPI-TIMESTAMP': '17'}"),
        ("{'API-Key': 'kk', 'API-Sign': 'a+b/c=='}", "{'API-Key': '***', 'API-Sign': '***'}"),
        ('{"OK-ACCESS-SIGN": "s=", "PASSPHRASE": "a b", "n": 1}', '{"OK-ACCESS-SIGN": "***", "PASSPHRASE": "***", "n": 1}'),
        ("{\\\"sign\\\": \\\"deadbeef\\\"}", "{\\\"sign\\\": \\\"***\\\"}"),
        ("headers: Authorization: Bearer aa.bb.cc", "headers: Authorization: ***"),
        ("secret=b'xyz'", "secret='***'"),
        ("apiSecret=abc&x=1", "apiSecret=***&x=1"),
        ("POST /bot12345:AbCd-e_f/sendMessage", "POST /bot***/sendMessage"),
        ("http://me:pw@127.0.0.1:80/x and wss://me@h", "http://***@127.0.0.1:80/x and wss://***@h"),
        ("by design: it is signed, mail a@b.c", "by design: it is signed, mail a@b.c"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_struck_out_by_the_name_before_it(text: str, left: str) -> None:
    assert redact(text) == left


def test_the_password_of_an_address_is_struck_out_alone_too(known: None) -> None:
    assert redact("proxy.example refused joe:hunter22, that is hunter22") == "proxy.example refused ***, that is ***"


def test_numbers_and_words_that_hold_a_short_secret_are_left(known: None) -> None:
    assert redact("21001234567 0.1001234567 shortest -1001234567.5") == "21001234567 0.1001234567 shortest -1001234567.5"
    assert redact("too short for chat 1001234567.") == "too *** for chat ***."


def test_what_is_no_secret_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREBASE_CREDENTIALS_PATH", "/home/me/firebase.json")
    monkeypatch.setenv("SOME_KEY", "true")
    assert redact("/home/me/firebase.json is true") == "/home/me/firebase.json is true"


def test_the_key_inside_a_credentials_file_is_struck_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "firebase.json"
    path.write_text(json.dumps({"type": "service_account", "private_key": PEM, "token_uri": "https://oauth2.example/token"}))
    monkeypatch.setenv("FIREBASE_CREDENTIALS_PATH", str(path))
    assert redact(f"type service_account at https://oauth2.example/token: {PEM!r}") == (
        "type service_account at https://oauth2.example/token: '***'"
    )


def test_a_line_of_the_log_stays_json_whatever_was_struck_out(known: None, tmp_path: Path) -> None:
    with log.log_to(tmp_path / "log.jsonl"):
        log.event(
            log.logger("live"), "said", chat=-1001234567, bars=12, text=PEM, deep={"api_key": "zzz", "all": [PEM, 1.5, None]}, way=Path("x")
        )
        try:
            raise ValueError(SECRETS["OKX_PASSPHRASE"])
        except ValueError:
            logging.getLogger("forwardtrader.live").exception("failed %s", PEM)
    said, failed = map(json.loads, (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines())
    assert (said["chat"], said["bars"], said["text"]) == ("***", 12, "***")
    assert said["deep"] == {"api_key": "***", "all": ["***", 1.5, None]}
    assert failed["event"] == "failed ***" and failed["traceback"].endswith("ValueError: ***")


def test_a_tree_keeps_its_shape() -> None:
    tree = {"name": "one", "rows": (1, True, None, 2.5), "feeds": {"exchange_url": "http://u:p@h:1"}, "token": ""}
    assert redacted(tree) == {"name": "one", "rows": [1, True, None, 2.5], "feeds": {"exchange_url": "http://***@h:1"}, "token": ""}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=8, max_size=60), before=st.text(max_size=5)
)
def test_no_value_survives_in_any_form(monkeypatch: pytest.MonkeyPatch, value: str, before: str) -> None:
    if len(value.strip()) < 8 or len("".join(value.split())) < 8:
        return
    monkeypatch.setenv("SOME_API_SECRET", value)
    for form, text in forms(value).items():
        assert value not in redact(f"{before} {text}"), form
        assert text.strip("\"'") not in redact(f"{before} {text}"), form


def test_a_long_text_costs_little_time() -> None:
    import time

    began = time.monotonic()
    for text in ("a" * 200_000, "a-" * 100_000, "sign: '" * 20_000, "http" * 50_000, "bot1:" * 40_000, "\\" * 100_000):
        redact(text)
    assert time.monotonic() - began < 5
