"""What is learned from outcomes: the settings of the room `learning`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field, model_validator

from forwardtrader.core.rooms.room import Room, Span

# Their intervals are corrected unless that is turned off: as they are, those of 90 % held less than 87 % in some half years of some coins.
CORRECTED: Final = ("lstm", "blend")


class LearningSettings(Room):
    """What is learned from outcomes beside the calendar: by the models, and by the account that trades them."""

    freeze: bool = Field(default=False, description="one switch: nothing below is learned, whatever it is set to")
    early: bool = Field(default=False, description="retrain at once when outcomes are significantly worse than the model's reference")
    false_alarms_every: Span = Field(default=timedelta(days=1000), description="time between two such calls where nothing has changed")
    block: int = Field(default=24, ge=2, description="bars whose mean loss is one observation of the drift test")
    slack: float = Field(default=0.5, gt=0, description="worsening that is let pass, in standard deviations of such a mean")
    reference: Span = Field(default=timedelta(days=120), description="newest part of the training window that outcomes are held against")
    trial: int = Field(default=0, ge=0, description="bars a new model is scored beside the one in force before it may take over; 0: none")
    promotion: Literal["unless worse", "if better"] = Field(
        default="unless worse", description="unless worse or if better: what the trial must show for a new model to take over"
    )
    level: float = Field(default=0.05, gt=0, lt=0.5, description="error rate of that comparison")
    guard: int = Field(
        default=0,
        ge=0,
        description="bars after which a model in force is rolled back if the one before it would have lost less; 0: never",
    )
    intervals: bool | None = Field(
        default=None, description=f"correct quantiles from outcomes at every bar; unset: for {' and '.join(CORRECTED)}"
    )
    adaptive: bool = Field(default=False, description="correct location and scale, which are traded by, as well")
    quantile_rate: float = Field(default=0.01, gt=0, lt=1, description="how fast quantiles follow what they miss")
    location_memory: Span = Field(default=timedelta(days=180), description="half-life of the outcomes that correct the location")
    location_prior: float = Field(default=50.0, ge=0, description="weight of leaving the location as it is, in squared forecast scales")
    # By the account. Each multiple of what is set or forecast is drawn towards one and kept between `least` and `most`.
    costs: bool = Field(default=False, description="learn the cost of a trade from the account's own fills")
    costs_prior: float = Field(default=5.0, gt=0, description="fills that the costs that are set count for")
    costs_memory: float = Field(default=25.0, gt=0, description="half-life of a fill, in fills")
    costs_age: Span = Field(default=timedelta(days=30), description="the same in time, so that trades that cost too much are tried again")
    costs_least: float = Field(default=0.25, gt=0, le=1, description="least multiple of the costs that are set")
    costs_most: float = Field(default=8.0, ge=1, description="largest multiple of the costs that are set")
    edge: bool = Field(default=False, description="learn what forecasts come to, by their size: those that stopped paying are traded less")
    edge_prior: float = Field(default=2.0, gt=0, description="weight of believing forecasts as they are, in squared forecast scales")
    edge_memory: Span = Field(default=timedelta(days=30), description="half-life of the outcomes behind it")
    edge_least: float = Field(default=0.1, gt=0, le=1, description="least multiple of a forecast")
    edge_most: float = Field(default=1.5, ge=1, description="largest multiple of a forecast")
    volatility: bool = Field(default=False, description="size positions by how far prices moved against what was forecast")
    volatility_prior: float = Field(default=48.0, gt=0, description="outcomes that forecast scales count for")
    volatility_memory: Span = Field(default=timedelta(days=14), description="half-life of the outcomes behind it")
    volatility_least: float = Field(default=0.5, gt=0, le=1, description="least multiple of a forecast scale")
    volatility_most: float = Field(default=2.0, ge=1, description="largest multiple of a forecast scale")

    @model_validator(mode="before")
    @classmethod
    def _frozen(cls, given: object) -> object:
        """What the switch turns off, in whatever order it was set."""
        if not isinstance(given, dict) or given.get("freeze") not in (True, "true", "True", "yes", "on", 1):
            return given
        return given | {
            "early": False,
            "trial": 0,
            "guard": 0,
            "intervals": False,
            "adaptive": False,
            "costs": False,
            "edge": False,
            "volatility": False,
        }

    def corrects(self, forecaster: str) -> bool:
        """Whether forecasts of this one are corrected at every bar."""
        return self.adaptive or (forecaster in CORRECTED if self.intervals is None else self.intervals)

    @property
    def trades_by_outcomes(self) -> bool:
        """Whether the account learns anything from its outcomes."""
        return self.costs or self.edge or self.volatility

    @property
    def decides_models(self) -> bool:
        """Whether another model than the calendar's may come into force."""
        return self.early or self.trial > 0 or self.guard > 0
