"""What lies in deploy/, held against the program: commands, paths, states, and what must not be in an image."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from forwardtrader.__main__ import COMMANDS
from forwardtrader.core.command.flags import with_project
from forwardtrader.core.settings import Settings
from forwardtrader.live.monitoring.standing import Standing
from forwardtrader.live.request import read_request
from tests import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
PLACE = "/opt/forwardtrader"  # of the checkout, in the units
HADOLINT = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
WELL = {Standing.STARTING, Standing.RUNNING, Standing.PAUSED, Standing.STALE, Standing.HALTED}


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: word and argument, continued lines joined, comments left out."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def arguments(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def copied() -> list[str]:
    return [name for rest in arguments("COPY") if not rest.startswith("--from") for name in rest.split()[:-1]]


def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


def unit(path: Path) -> configparser.RawConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(path)
    return read


def parsed(words: list[str]) -> None:
    """Have the command's own parser read its flags, and a session's request what they mean together."""
    name, *flags = words
    module, _, parser = COMMANDS[name].flags.partition(":")
    with_project(getattr(import_module(f"forwardtrader.{module}"), parser)()).parse_args(flags)
    if name == "live" and "--status" not in flags:  # which looks for what runs
        read_request(flags)


def test_the_image_starts_commands_that_there_are() -> None:
    assert json.loads(arguments("ENTRYPOINT")[0]) == ["forwardtrader"]
    parsed(json.loads(arguments("CMD")[0]))
    healthcheck = json.loads(arguments("HEALTHCHECK")[0].partition("CMD ")[2])[-1]
    program, *words = shlex.split(healthcheck.partition("|")[0])
    assert program == "forwardtrader"
    assert words[0] == "status"
    parsed(["live", "--status", *words[1:]])


@pytest.mark.parametrize("standing", Standing)
def test_the_image_is_ill_where_its_session_hangs_or_is_gone(standing: Standing) -> None:
    judged = json.loads(arguments("HEALTHCHECK")[0].partition("CMD ")[2])[-1].partition("| ")[2]
    told = json.dumps({"name": "one", "standing": str(standing), "why": "halted and died"}, indent=1)
    assert subprocess.run(["sh", "-c", judged], input=told, text=True, check=False).returncode == (0 if standing in WELL else 1)


def test_everything_that_is_copied_is_there_and_reaches_the_builder() -> None:
    """And nothing else does: a whitelist, so that no file of the user's can be in a layer."""
    lines = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert [line[1:] for line in lines if line.startswith("!")] == copied()
    assert all((ROOT / name).exists() for name in copied())
    packages = set(unit_packages()) - {"forwardtrader"}
    assert packages <= set(copied())
    for secret in (".env", "var/serve/token", "reports/output/x/run.json", ".git/config", "core/.env", "live/var/x"):
        assert not reaches(secret, lines), secret
    assert reaches("core/log.py", lines) and reaches("forwardtrader/core", lines)


def unit_packages() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return [value.split("=")[1].strip() for value in setup["options"]["package_dir"].split("\n") if value]


def reaches(path: str, lines: list[str]) -> bool:
    """Whether a file is sent to the builder; the last line that names it, or a folder above it, decides."""
    parts = Path(path).parts
    places = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    sent = True
    for line in lines:
        pattern = line.removeprefix("!")
        if any(fnmatch(place, pattern) or (pattern.startswith("**/") and fnmatch(place, pattern[3:])) for place in places):
            sent = line.startswith("!")
    return sent


def test_the_image_runs_as_nobody_in_particular_and_writes_to_its_volumes_only() -> None:
    settings = Settings()
    volumes = json.loads(arguments("VOLUME")[0])
    for folder in (settings.live.sessions_path, settings.models.save_path, settings.feeds.store_path, settings.reports.output):
        assert any(Path("/app", folder).is_relative_to(volume) for volume in volumes), folder
    assert arguments("USER") == ["10001:10001"]
    assert [word for word, _ in instructions()][-4:] == ["STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"]
    assert not re.search(r"(?i)(key|secret|token|password)\s*=", "\n".join(arguments("ENV") + arguments("ARG")))


def test_the_services_of_the_compose_file_are_read_only_and_run_commands_that_there_are() -> None:
    found = services()
    assert set(found) == {"session", "serve"}
    for service in found.values():
        parsed(service["command"])
        assert service["read_only"] and service["init"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert sorted(volume.partition(":")[2] for volume in service["volumes"]) == sorted(json.loads(arguments("VOLUME")[0]))
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert "--sandbox" in found["session"]["command"] and "--paper" in found["session"]["command"]
    assert all(port.startswith("127.0.0.1:") for port in found["serve"]["ports"])
    assert found["serve"]["ports"][0].rpartition(":")[2] in " ".join(found["serve"]["healthcheck"]["test"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is(path: Path) -> None:
    service = unit(path)["Service"]
    program, *words = shlex.split(service["ExecStart"].replace("%i", "btc").replace("$FLAGS", flags_of(path)))
    assert program.startswith(f"{PLACE}/.venv/bin/") and service["WorkingDirectory"] == PLACE
    if words[0] == "run_live.py":
        words[0] = "live"
    parsed(words)
    for folder in service["ReadWritePaths"].split():
        assert Path(folder).relative_to(PLACE).parts in {("var",), ("reports", "output")}


def flags_of(path: Path) -> str:
    found = re.search(r"^#\s+FLAGS=(.*)$", path.read_text(), re.M)
    return found[1] if found else ""


def test_the_watchdog_waits_longer_than_a_session_may_take_for_a_turn() -> None:
    service = unit(DEPLOY / "forwardtrader@.service")["Service"]
    assert int(service["WatchdogSec"]) > Settings().risk.max_stall_s
    assert service["RestartPreventExitStatus"].split() == ["2", "4", "5"]  # docs/live.md


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_a_unit_and_finds_little_that_is_exposed(path: Path, tmp_path: Path) -> None:
    text = re.sub(rf"{PLACE}/\.venv/bin/\w+", sys.executable, path.read_text())
    (tmp_path / path.name).write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", tmp_path / path.name], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", tmp_path / path.name]
    assert subprocess.run(exposed, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint here: it is installed with the tests on Linux, x86-64")
def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    assert HADOLINT is not None
    done = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_the_steps_of_the_image_make_a_program_that_starts(tmp_path: Path) -> None:
    """All but what changes the system: what is copied, then each RUN in its folder. Needs a package index."""
    app = tmp_path / "app"
    for name in copied():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, app / name, symlinks=True, ignore=kept_out)
        else:
            shutil.copy(source, app / name)
    for step in arguments("RUN"):
        command = re.sub(r"^--mount=\S+ ", "", step).replace("/app", str(app))
        if not re.search(r"apt-get|useradd|install -d", command):
            subprocess.run(["bash", "-o", "pipefail", "-ec", command], cwd=app, check=True)
    for words in (["--help"], [*json.loads(arguments("CMD")[0]), "--bars", "2", "--speed", "lockstep", "--quiet"], ["status", "--json"]):
        subprocess.run([app / ".venv/bin/forwardtrader", *words], cwd=app, env={"PATH": "/usr/bin:/bin"}, check=True)


def kept_out(folder: str, names: list[str]) -> set[str]:
    """What of a folder is not sent to the builder."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = [line for line in lines if line and not line.startswith("#")]
    return {name for name in names if not reaches(str(Path(folder, name).relative_to(ROOT)), sent)}


def test_every_package_reaches_the_builder() -> None:
    lines = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    names = [f"{package.replace('.', '/')}/__init__.py" for package in packages_of_the_wheel()]
    assert len(names) > 50
    assert [name for name in names if not reaches(name, lines)] == []


def packages_of_the_wheel() -> list[str]:
    """Without the common name before each."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return [name.removeprefix("forwardtrader.") for name in setup["options"]["packages"].split() if name != "forwardtrader"]


def test_what_firebase_deploys_is_there_and_its_indexes_are_of_collections_that_are_written() -> None:
    named = json.loads((DEPLOY / "firebase.json").read_text())["firestore"]
    assert "allow read, write: if false;" in (DEPLOY / named["rules"]).read_text()
    indexes = json.loads((DEPLOY / named["indexes"]).read_text())
    written = {"trading_logs", "orders", "executions", "payments", "fills", "commands", "errors", "positions", "promotions", "state"}
    groups = {each["collectionGroup"] for each in (*indexes["indexes"], *indexes["fieldOverrides"])}
    assert groups <= written | {"settings", "risk_states"}
