"""A whole session whose keys stand in `.env` alone: its alerts and its mirror leave, and no secret stays in any of its files."""

from __future__ import annotations

import base64
import html
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import markupsafe
import pandas as pd
import pytest

from tests import ROOT
from tests.live.telegram.bot_server import Bot, telegram

SECRETS = {
    "TELEGRAM_BOT_TOKEN": "123456789:AAbbCC-ddEEff_gg", "TELEGRAM_CHAT_ID": "-1009876543", "BINANCE_API_KEY": "Kk01Kk02Kk03",
    "BINANCE_API_SECRET": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----", "OKX_PASSPHRASE": "o-p <'en",
    "HTTPS_PROXY": "http://joe:p%40ss%21w0rd@127.0.0.1:9", "VENDOR": "opensesame", "DB_DSN": "host=db user=me password=let-me-in",
}  # fmt: skip
SMALL = ("models.train_window=10d", "models.retrain_every=5d", "models.epochs=1", "models.seeds=1", "models.units=4")
SETTINGS = """
feeds:
  factors:
  - {kind: json, name: mine, url: "http://127.0.0.1:9/v1?k=${VENDOR}&z=lit3ral9token77", column: v, known_after: 1h}
live: {heartbeat_url: "http://127.0.0.1:9/ping/hook-secret-1"}
"""
# What of all this is a secret, in the form in which it is used.
PIECES = [
    *(value for name, value in SECRETS.items() if name not in ("HTTPS_PROXY", "DB_DSN")), "p@ss!w0rd", "joe:p%40ss%21w0rd", "let-me-in",
    "lit3ral9token77", "/ping/hook-secret-1",
]  # fmt: skip
# As a library that quotes what it sent in what it raises, in every form in which it may have sent it.
LEAKY = """
import json, warnings
from pathlib import Path
import backtrader as bt

FORMS = json.loads(Path("forms.json").read_text())

class VendorError(Exception):
    def __init__(self, request):
        super().__init__("refused")
        self.request = request

    def __str__(self):
        return f"401 for {self.request}"

class Leaky(bt.Strategy):
    params = (("api_token", "t0ken-of-a-parameter"), ("note", "opensesame"))

    def next(self):
        if len(self) % 2:
            warnings.warn(" ".join(FORMS))
            raise VendorError(f"{FORMS} {json.dumps(FORMS)} https://joe:hunter22@host/x?signature=deadbeef01")
"""


def forms(piece: str) -> list[str]:
    """A secret as it may stand in a text."""
    as_bytes, in_json = piece.encode(), json.dumps(piece)[1:-1]
    return [
        piece, in_json, json.dumps(in_json)[1:-1], quote(piece, safe=""), quote(quote(piece, safe=""), safe=""), html.escape(piece),
        str(markupsafe.escape(piece)), as_bytes.hex(), base64.b64encode(as_bytes).decode().rstrip("="),
        in_header(piece)[6:-4],
    ]  # fmt: skip


def in_header(piece: str) -> str:
    """Behind a user's name, as basic authentication has it."""
    return base64.b64encode(f"joe:{piece}".encode()).decode()


@pytest.fixture
def emulator() -> Iterator[tuple[int, list[bytes]]]:
    """Takes connections at the address of a Firestore emulator, hears the first bytes, and answers nothing."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(24))

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], heard


def project(folder: Path, **more: str) -> None:
    lines = [f"{name}={json.dumps(value)}" for name, value in (SECRETS | more).items()]
    (folder / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "leaky.py").write_text(LEAKY, encoding="utf-8")
    (folder / "config.yaml").write_text(SETTINGS, encoding="utf-8")
    planted = [form for piece in PIECES for form in (*forms(piece)[:-1], in_header(piece))]
    (folder / "forms.json").write_text(json.dumps(planted), encoding="utf-8")


def session(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """`run_live.py` as a user of another folder starts it, with none of these names in the process environment."""
    known = {name: value for name, value in os.environ.items() if name not in SECRETS and not name.startswith(("FIRE", "TELEGRAM"))}
    words = [sys.executable, str(ROOT / "run_live.py"), "--paper", "--sandbox", "--speed", "lockstep", "--session", "one", *flags]
    for setting in SMALL:
        words += ["--set", setting]
    return subprocess.run(words, cwd=folder, env=known, capture_output=True, text=True, timeout=300, check=False)


def texts_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """All text that a file holds, whatever its format."""
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("plotly")):
        yield path, path.read_bytes().decode("utf-8", errors="replace")
        if path.suffix == ".parquet":
            yield path, pd.read_parquet(path).to_csv()
        if path.suffix == ".db":
            with sqlite3.connect(path) as file:
                yield path, "\n".join(file.iterdump())


def test_alerts_and_mirror_follow_the_file_and_no_secret_is_written(tmp_path: Path, emulator: tuple[int, list[bytes]]) -> None:
    bot, (port, heard) = Bot([]), emulator
    project(tmp_path, TELEGRAM_API=bot.url, FIRESTORE_EMULATOR_HOST=f"127.0.0.1:{port}")
    flags = ("--bars", "5", "--strategy", "leaky:Leaky", "--set", "live.firestore_project=practice", "--set", "risk.max_stall_s=60")
    done = session(tmp_path, *flags)
    bot.end()
    assert done.returncode == 0, done.stderr
    assert bot.heard and heard and all(first.startswith(b"PRI * HTTP/2.0") for first in heard)
    assert {told["path"] for told in bot.heard} == {f"/bot{SECRETS['TELEGRAM_BOT_TOKEN']}/sendMessage"}
    assert {told["chat_id"] for told in bot.heard} == {SECRETS["TELEGRAM_CHAT_ID"]}
    assert any("iteration failed" in told["text"] for told in bot.heard)

    pieces = ["MIGHAgEAMBMGByqGSM49AgEG", "AAbbCC", "9876543", "hunter22", "deadbeef01", "t0ken-of-a-parameter"]
    pieces += [form for piece in PIECES for form in forms(piece)]
    leaks = {(str(path.relative_to(tmp_path)), piece) for path, text in texts_below(tmp_path / "var") for piece in pieces if piece in text}
    plan = tmp_path / "var/sessions/one/plan.json"
    # Who writes a key into an address, in place of ${NAME}, has it in the settings that a restart needs; they are for this user alone.
    assert leaks - {("var/sessions/one/plan.json", "lit3ral9token77")} == set()
    assert plan.stat().st_mode & 0o077 == 0
    said = done.stdout + done.stderr + "".join(told["text"] for told in bot.heard)
    assert [piece for piece in pieces if piece in said] == []
    log = (tmp_path / "var/sessions/one/log.jsonl").read_text(encoding="utf-8").splitlines()
    assert any("***" in json.loads(line).get("traceback", "") for line in log)


def test_check_knows_what_the_file_names(tmp_path: Path) -> None:
    with telegram() as bot:
        project(tmp_path, FIRESTORE_EMULATOR_HOST="127.0.0.1:9", TELEGRAM_API=bot.url)
        done = session(tmp_path, "--check", "--set", "live.firestore_project=practice")
    assert done.returncode == 3, done.stderr
    assert "ok    Telegram: @trader_bot may write to the chat" in done.stdout
    assert "FAIL  Firestore: the Firestore emulator at 127.0.0.1:9 does not answer" in done.stdout
