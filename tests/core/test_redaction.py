"""No secret passes: by its value in whatever form, by the name before it, in signed requests and in addresses."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import markupsafe
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core import log
from forwardtrader.core.config import load_settings
from forwardtrader.core.log import redact, redacted
from forwardtrader.live.output.state_store import StateStore
from tests import ROOT

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
        "page": html.escape(value), "template": str(markupsafe.escape(value)), "bytes": repr(value.encode())[1:],
        "url within a url": quote(quote(value, safe=""), safe=""), "url in small letters": re.sub("%..", lower, quote(value, safe="")),
        "json of others": escaped.replace("/", "\\/"), "json in a page": re.sub("[<>&']", as_code, escaped), "hex": value.encode().hex(),
    }  # fmt: skip


def lower(found: re.Match[str]) -> str:
    return found[0].lower()


def as_code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "HTTPS_PROXY"])
def test_a_value_is_struck_out_in_every_form(known: None, name: str) -> None:
    for form, text in forms(SECRETS[name]).items():
        left = redact(f"the venue said {text} to us")
        assert left.replace('"', "").replace("'", "").replace("\\", "").replace("{said: ***}", "***") == "the venue said *** to us", form


@pytest.mark.parametrize("name", ["OKX_PASSPHRASE", "BINANCE_API_KEY", "DB_PASSWORD"])
@pytest.mark.parametrize("user", ["", "a:", "ab:", "abc:"])
def test_a_value_is_struck_out_of_what_is_base64(known: None, name: str, user: str) -> None:
    for coded in (base64.b64encode, base64.urlsafe_b64encode):
        whole = coded(f"{user}{SECRETS[name]}:more".encode()).decode()
        left = redact(f"Basic {whole} end")
        assert left.count("***") == 1 and len(left.replace("***", "")) <= len("Basic  end") + len(user) * 4 / 3 + 12, (whole, left)


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
        ("{'X-MBX-APIKEY': 'kk'} X-MBX-APIKEY: kk", "{'X-MBX-APIKEY': '***'} X-MBX-APIKEY: ***"),
        ("[('X-BAPI-SIGN', 'deadbeef'), ('n', '1')]", "[('X-BAPI-SIGN', '***'), ('n', '1')]"),
        ("[(b'API-Sign', b'a+b/c==')]", "[(b'API-Sign', '***')]"),
        ("https://s3/x?X-Amz-Credential=AK%2F1&X-Amz-Signature=ab&n=1", "https://s3/x?X-Amz-Credential=***&X-Amz-Signature=***&n=1"),
        ("live.heartbeat_url=https://x.io/ping/1 --quiet", "live.heartbeat_url=*** --quiet"),
        ("https://blob/x?sv=2024&sig=a%2Fb%3D&se=1", "https://blob/x?sv=2024&sig=***&se=1"),
        ("apiSecret=abc&x=1", "apiSecret=***&x=1"),
        ("POST /bot12345:AbCd-e_f/sendMessage", "POST /bot***/sendMessage"),
        ("http://me:pw@127.0.0.1:80/x and wss://me@h", "http://***@127.0.0.1:80/x and wss://***@h"),
        ("http://me:p@w@h/x", "http://***@h/x"),
        ("https://x/y?a=1&key=abc&auth=d%20e#f", "https://x/y?a=1&key=***&auth=***#f"),
        ("monkey=1 sort?order=key=2", "monkey=1 sort?order=key=2"),
        ("Set-Cookie: sid=abc; Path=/\nHost: x", "Set-Cookie: ***\nHost: x"),
        ("{'Cookie': 'a=b; c=d', 'n': 1}", "{'Cookie': '***', 'n': 1}"),
        ("psql --password hunter2 --port 5", "psql --password *** --port 5"),
        ("Bearer of eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-D_1 end", "Bearer of *** end"),
        ("token 1234567890:AAbbCC-ddEEff_ggHHiiJJkkLLmmNNooPPq at 12:30", "token *** at 12:30"),
        ("-----BEGIN PRIVATE KEY-----\nMHc\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----"),
        ("by design: it is signed, mail a@b.c", "by design: it is signed, mail a@b.c"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_struck_out_by_the_name_before_it(text: str, left: str) -> None:
    assert redact(text) == left


def test_the_password_of_an_address_is_struck_out_alone_too(known: None) -> None:
    assert redact("proxy.example refused joe:hunter22, that is hunter22") == "proxy.example refused ***, that is ***"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("HTTPS_PROXY", "http://joe:p%40ss%21w0rd@proxy.example:80", "p@ss!w0rd"), ("ALL_PROXY", "joe:swordfish@proxy:80", "swordfish"),
        ("DATABASE", "host=db user=me password=open-sesame", "open-sesame"),
        ("STORE", "Endpoint=x;SharedAccessKey=Zm9vYmFy;n=1", "Zm9vYmFy"),
        ("DB_PWD", "letmein-1", "letmein-1"), ("BOX_PASSCODE", "letmein-2", "letmein-2"),
    ],
)  # fmt: skip
def test_what_a_variable_holds_is_known_as_it_is_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, secret: str) -> None:
    monkeypatch.setenv(name, value)
    assert redact(f"it refused {secret} for PWD=/home/me and key=value") == "it refused *** for PWD=/home/me and key=value"


def test_what_settings_hold_in_addresses_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VENDOR", "open-sesame-9")
    factor = {"kind": "json", "name": "x", "url": "https://h/v1?k=${VENDOR}&z=lit3ral9token77", "column": "v", "known_after": "1h"}
    feeds = {"exchange_url": "http://bob:set%20word@h", "factors": [factor]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"feeds": feeds, "live": {"heartbeat_url": "https://h/ping/of-mine"}}))
    load_settings()
    left = redact("GET /ping/of-mine?x; bob, 'set word', open-sesame-9, lit3ral9token77")
    assert left == "GET ***?x; bob, '***', ***, ***"


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


@pytest.mark.parametrize(
    ("name", "value", "text", "left"),
    [
        ("HEARTBEAT_URL", "https://hc-ping.com/eb095278-f28d-448d-87fb", "GET /eb095278-f28d-448d-87fb", "GET ***"),
        ("HEARTBEAT_URL", "https://x.io/h?k=abc", "GET https://x.io/h?k=abc failed", "GET https://x.io*** failed"),
        ("REPORT_URL", "https://x.io/a/T0Ken9876543?v=1", "https://x.io/a/T0Ken9876543?v=1", "https://x.io/a/***?v=1"),
        ("REPORT_URL", "https://x.io/a?at=T0Ken9876543", "at T0Ken9876543", "at ***"),
        ("BYBIT_API_KEYS", "firstKey12345, secondKey6789", "firstKey12345 and secondKey6789", "*** and ***"),
        ("FIREBASE_CREDENTIALS", '{"a": {"private_key": "abc-def-ghi"}, "type": "account"}', "abc-def-ghi of account", "*** of account"),
    ],
)  # fmt: skip
def test_a_secret_within_a_value_is_struck_out_alone(monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str, left: str) -> None:
    monkeypatch.setenv(name, value)
    assert redact(text) == left


def test_in_the_projects_file_a_token_is_struck_out_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["VENDOR=abc123def456ghi", "START=2024-01-01", "SYMBOL=BTC/USDT", "HOME_FOLDER=/data/candles2024/btc", "LEVEL=warning"]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert redact("abc123def456ghi 2024-01-01 BTC/USDT /data/candles2024/btc warning") == (
        "*** 2024-01-01 BTC/USDT /data/candles2024/btc warning"
    )


@pytest.mark.parametrize("name", ["BINANCE_PRIVATE_KEY_PATH", "BINANCE_API_SECRET_FILE"])
def test_the_text_of_a_key_file_is_struck_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    monkeypatch.setenv(name, str(tmp_path / "key.pem"))
    assert redact(f"cannot load {PEM}") == "cannot load ***\n"


@pytest.mark.parametrize("value", ["1", "true", "info", "Live", "binance", "2024", "critical"])
def test_a_value_that_is_a_word_of_every_log_blanks_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.setenv("SOME_API_KEY", value)
    with log.log_to(tmp_path / "log.jsonl"):
        log.event(log.logger("live"), f"{value} began", value=value)
    [line] = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert (line["level"], line["room"], line["event"], line["value"]) == ("info", "live", f"{value} began", value)


def test_what_python_itself_prints_is_redacted(tmp_path: Path) -> None:
    program = (
        "import logging, sys, threading, warnings; from forwardtrader.core import log; log.redact_stderr(); "
        "warnings.warn('beware of Kk01Kk02Kk03');"
        "logging.getLogger('asyncio').error('never retrieved: %s', 'Kk01Kk02Kk03');"
        "t = threading.Thread(target=lambda: 1 / 0 if 0 else (_ for _ in ()).throw(ValueError('Kk01Kk02Kk03'))); t.start(); t.join();"
        "raise SystemError('Kk01Kk02Kk03')"
    )
    environment = {**os.environ, "SOME_API_KEY": "Kk01Kk02Kk03", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("Error: ***") == 2 and "never retrieved: ***" in done.stderr
    assert "UserWarning: beware of ***" in done.stderr
    assert "Kk01" not in done.stderr.replace("throw(ValueError('***", "")


def test_the_address_of_a_heartbeat_is_struck_out_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("HEARTBEAT_URL=https://x.io/ping/one-two\n")
    settings = load_settings()
    assert settings.live.heartbeat_url == "https://x.io/ping/one-two"
    assert redacted(settings.model_dump(mode="json"))["live"]["heartbeat_url"] == "***"
    assert redact("GET /ping/one-two failed") == "GET *** failed"


def test_names_and_bytes_are_struck_out_too(known: None) -> None:
    tree = {SECRETS["DB_PASSWORD"]: SECRETS["DB_PASSWORD"].encode(), "n": {SECRETS["BINANCE_API_KEY"]}}
    assert redacted(tree) == {"***": "***", "n": ["***"]}


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


@pytest.mark.parametrize(
    ("tree", "left"),
    [
        ({"password": 1234}, {"password": "***"}),
        ({"api_keys": ["a", "b"], "Cookie": "a=b"}, {"api_keys": "***", "Cookie": "***"}),
        ({"headers": [["X-MBX-APIKEY", "abc"], (b"API-Sign", "d"), ["n", "1"]]},
         {"headers": [["X-MBX-APIKEY", "***"], ["API-Sign", "***"], ["n", "1"]]}),
        ({"token": 7, "tokens": [1, 2], "secret": None}, {"token": 7, "tokens": [1, 2], "secret": None}),
    ],
)  # fmt: skip
def test_what_has_the_name_of_a_secret_is_struck_out_of_a_tree(tree: object, left: object) -> None:
    assert redacted(tree, numbers=False) == left


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=8, max_size=60),
    where=st.lists(st.sampled_from(("text", "name", "list", "bytes", "error")), min_size=1, max_size=4),
)
def test_no_value_survives_in_any_shape_of_fact_on_its_way_to_a_log_a_state_or_a_mirror(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, where: list[str]
) -> None:
    if len("".join(value.split())) < 8:
        return
    monkeypatch.setenv("SOME_API_SECRET", value)
    fact: object = value
    for shape in where:
        fact = {
            "text": f"said {fact} twice", "name": {fact if isinstance(fact, str) else "n": fact}, "list": [1, fact],
            "bytes": fact.encode() if isinstance(fact, str) else fact, "error": fact if isinstance(fact, dict) else ValueError(fact),
        }[shape]  # fmt: skip
    path = tmp_path / "log.jsonl"
    path.unlink(missing_ok=True)
    with log.log_to(path):
        log.event(log.logger("live"), "said", fact=fact)
    store = StateStore(tmp_path / "state.db")
    store.set("sessions/one", redacted({"fact": fact}))
    written = path.read_text(encoding="utf-8") + json.dumps(store.get("sessions/one"), ensure_ascii=False)
    store.close()
    for form in (value.strip(), json.dumps(value)[1:-1].strip()):
        assert form not in written and json.dumps(form)[1:-1] not in written


def test_a_long_text_costs_little_time() -> None:
    import time

    began = time.thread_time()
    for text in ("a" * 200_000, "a-" * 100_000, "sign: '" * 20_000, "http" * 50_000, "bot1:" * 40_000, "\\" * 100_000):
        redact(text)
    assert time.thread_time() - began < 5
