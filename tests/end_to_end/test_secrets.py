"""A whole session whose keys stand in `.env` alone: its alerts and its mirror leave, and no secret stays in any of its files."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import ROOT
from tests.live.telegram.bot_server import Bot, telegram

SECRETS = {
    "TELEGRAM_BOT_TOKEN": "123456789:AAbbCC-ddEEff_gg", "TELEGRAM_CHAT_ID": "-1009876543", "BINANCE_API_KEY": "Kk01Kk02Kk03",
    "BINANCE_API_SECRET": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----", "OKX_PASSPHRASE": "o-p en",
}  # fmt: skip
SMALL = ("models.train_window=10d", "models.retrain_every=5d", "models.epochs=1", "models.seeds=1", "models.units=4")
# As a library that quotes what it sent in what it raises.
LEAKY = """
import json
from pathlib import Path
import backtrader as bt

SECRETS = json.loads(Path("told.json").read_text())

class Leaky(bt.Strategy):
    def next(self):
        if len(self) % 2:
            told = json.dumps(SECRETS)
            raise ValueError(f"{told} {json.dumps(told)} {list(SECRETS.values())} https://joe:hunter22@host/x?signature=deadbeef01")
"""


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
    (folder / "told.json").write_text(json.dumps(SECRETS), encoding="utf-8")


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

    pieces = [*SECRETS.values(), "MIGHAgEAMBMGByqGSM49AgEG", "AAbbCC", "9876543", "hunter22", "deadbeef01"]
    leaks = {(str(path.relative_to(tmp_path)), piece) for path, text in texts_below(tmp_path / "var") for piece in pieces if piece in text}
    assert leaks == set()
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
    assert "FAIL  Firestore: Firestore does not answer" in done.stdout
