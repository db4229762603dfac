"""The page of a look-ahead audit, from the `audit.json` in its folder: every proof, what it tried and what it found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.sections.section import Section

JSON_NAME: Final = "audit.json"  # as `backtest.audit.command` writes it
FILE_NAME: Final = "index.html"
TONES: Final = {"passed": "good", "failed": "none"}


class ProofSection(Section):
    """One proof: its name, what it tried and found in one sentence, and `passed`, `failed` or `not testable`."""

    name: str
    detail: str
    result: str


class AuditSection(Section):
    """The whole of `audit.json`; `result` is the worst of its proofs."""

    command: str
    result: str
    proofs: list[ProofSection]


def read_audit(folder: Path) -> AuditSection:
    """Read `folder/audit.json`.

    Raises:
        RunUnreadable: the file is missing or not of that form.
    """
    path = folder / JSON_NAME
    try:
        return AuditSection.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunUnreadable(f"{path} cannot be read; run the audit again") from error


def render_audit_page(folder: Path) -> Path:
    """Write `folder/index.html` and return its path.

    Raises:
        RunUnreadable: the folder holds no readable audit.
    """
    audit = read_audit(folder)
    context = {"audit": audit, "name": folder.name, "tone": TONES.get(audit.result, "wait"), "is_sample": "-SAMPLE-" in folder.name}
    return write_page(folder / FILE_NAME, "audit_page.html.j2", context)
