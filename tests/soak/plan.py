"""What a seed means: series of lives of one session, each with its faults, the moment of its end, and how it ends."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, TypeAlias

FaultOptions: TypeAlias = dict[str, float | int | str]
LIVES: Final = 25  # of one series
# What a client has to recover from by itself, with options that keep a life short.
FAULTS: Final[dict[str, FaultOptions]] = {
    "F1": {}, "F2": {}, "F4": {}, "F5": {}, "F7": {}, "F8": {}, "F9": {}, "F12": {}, "F13": {}, "F14": {}, "F16": {}, "F21": {}, "F23": {},
    "F26": {}, "F28": {}, "F39": {}, "F44": {},
    "F3": {"seconds": 3.0}, "F6": {"seconds": 1.0}, "F10": {"parts": 3}, "F11": {"seconds": 0.3}, "F17": {"seconds": 1.0},
    "F18": {"seconds": 1}, "F19": {"seconds": 2}, "F38": {"bps": -100.0}, "F41": {"seconds": 0.3}, "F42": {"seconds": 0.3},
}  # fmt: skip


@dataclass(frozen=True)
class LifePlan:
    """One life.

    Attributes:
        end: kill, stop (frozen for `frozen_s`, then killed) or term.
        early: it ends `after_s` after its start; otherwise after its first decision.
        bars: that the market goes on while nobody trades.
    """

    faults: dict[str, FaultOptions]
    end: str
    early: bool
    after_s: float
    frozen_s: float
    bars: int


@dataclass(frozen=True)
class Series:
    """Lives of one session, one after the other on one account; the last one ends by itself."""

    seed: int
    protocol: str
    symbols: tuple[str, ...]
    lives: tuple[LifePlan, ...]

    @classmethod
    def of(cls, seed: int, lives: int = LIVES) -> Series:
        rng = random.Random(f"soak {seed}")
        protocol = rng.choice(("binance", "binance", "bybit"))
        symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")[: rng.choice((1, 1, 2, 3))]
        return cls(seed, protocol, symbols, tuple(_life(rng) for _ in range(lives)))


def _life(rng: random.Random) -> LifePlan:
    names = rng.sample(sorted(FAULTS), rng.randint(1, 4)) if rng.random() < 0.6 else []
    early = rng.random() < 0.25
    return LifePlan(
        faults={name: {**FAULTS[name], "count": rng.randint(1, 3), "probability": rng.choice((0.2, 0.5, 1.0))} for name in names},
        end=rng.choice(("kill", "kill", "kill", "kill", "kill", "kill", "stop", "stop", "term")),
        early=early,
        after_s=rng.uniform(0.0, 1.5) if early else rng.expovariate(1 / 0.5),
        frozen_s=rng.choice((0.1, 1.0, 4.0)),
        bars=rng.choice((0, 0, 1, 3)),
    )
