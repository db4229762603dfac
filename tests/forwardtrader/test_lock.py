"""The lock names what setup.cfg asks for, each release with its hashes, and no place to get it from but the usual one."""

from __future__ import annotations

import configparser
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)( ; [^\\]+)? \\$", re.MULTILINE)


def asked() -> list[Requirement]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [parser["options"]["install_requires"], *(parser["options.extras_require"][name] for name in ("test", "live", "firestore"))]
    return [Requirement(line) for text in texts for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_everything_that_the_environment_needs_is_locked_within_its_bounds() -> None:
    locked: dict[str, list[str]] = {}
    for name, version, _ in PINNED.findall(LOCK):
        locked.setdefault(name, []).append(version)
    for wanted in asked():
        found = locked.get(canonicalize_name(wanted.name), [])
        assert found and all(wanted.specifier.contains(version) for version in found), f"{wanted}, locked {found}: run make lock"


def test_every_release_has_hashes_and_no_address() -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINNED.findall(LOCK)) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK and "index-url" not in LOCK and "find-links" not in LOCK
