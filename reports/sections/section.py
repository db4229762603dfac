"""What the sections of a manifest are made of: numbers that may be missing, times in UTC, and keys that are kept though unknown."""

from __future__ import annotations

import math
from datetime import UTC
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict


def finite(value: Any) -> Any:
    """NaN and infinity have no JSON form: both mean that there is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(finite)]
Interval = tuple[Number, Number] | None
Moment = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class Section(BaseModel):
    """Base of all sections: unknown keys are kept, names may be given instead of aliases."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, frozen=True)
