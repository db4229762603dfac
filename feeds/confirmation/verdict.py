"""What is known at a bar about the venues of one market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """Why a venue is not trusted; each completes a sentence that begins with its name."""

    LATE = "is late"
    SILENT = "is silent"
    INVALID = "has prices that cannot be"
    OUT_OF_ORDER = "has bars out of order"
    FROZEN = "stands still while others move"
    OUTLIER = "lies apart from the others"
    DECIMAL = "has a misplaced decimal point"


class Agreement(StrEnum):
    """Whether the confirming venues agree with the traded one's prices."""

    AGREED = "agreed"
    DISAGREED = "disagreed"  # the traded one is the one that lies apart, or nobody knows which does
    ALONE = "alone"  # no other venue can be trusted now


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement at one bar.

    Attributes:
        at: its open time, milliseconds UTC.
        agreement: as above.
        source: the venue whose bar the features see; "" where no trusted one has a bar.
        faults: of the venues that are not trusted, those included that have to prove themselves again.
        objection: why no position should be entered at this bar; "" where it may.
    """

    at: int
    agreement: Agreement
    source: str
    faults: Mapping[str, Fault] = field(default_factory=dict)
    objection: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        faults = {venue: fault.name for venue, fault in self.faults.items()}
        return {"at": self.at, "agreement": self.agreement.value, "source": self.source, "faults": faults, "objection": self.objection}

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Verdict:
        """What `as_dict` gave."""
        faults = {str(venue): Fault[name] for venue, name in saved["faults"].items()}
        return cls(int(saved["at"]), Agreement(saved["agreement"]), str(saved["source"]), faults, str(saved["objection"]))

    def differs(self, before: Verdict | None) -> bool:
        """Whether something is to be said that the verdict before did not say; distances in basis points change at each bar."""
        return before is None or self._said != before._said

    @property
    def _said(self) -> tuple[object, ...]:
        return self.agreement, self.source, dict(self.faults), bool(self.objection)

    @property
    def detail(self) -> str:
        """A readable line: why nothing is entered, who is not trusted, and whose prices the features see."""
        faults = [f"{venue} {fault}" for venue, fault in self.faults.items() if fault not in self.objection]
        seen = f"features see {self.source}" if self.source else "features see no bar"
        said = [*([self.objection] if self.objection else []), *faults]
        return "; ".join([*(said or ["the venues agree"]), seen])
