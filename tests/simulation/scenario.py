"""What one seed means: market, weather, faults, deaths and the mischief of the strategy. Plain values, so that it can be shrunk."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

FaultOptions: TypeAlias = dict[str, float | int | str]
ACTIONS: Final = ("market", "limit", "stop", "bracket", "oco", "cancel", "close", "valid")
# Where a death counts most: around an order, its journal, its cancel, its executions, and the questions of a start.
_PLACES: Final = ("POST", "after sending POST", "answer to POST", "commit", "after commit", "force", "socket message", "is kept")
_PLACES_OF: Final = {
    "binance": ("DELETE", "answer to DELETE", "myTrades", "openOrders", "account", "GET /api/v3/order"),
    "bybit": ("order/cancel", "answer to POST /v5/order/cancel", "execution/list", "order/realtime", "wallet-balance", "order/history"),
}  # fmt: skip
_SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
# Seconds that a list may be behind: fewer than a client has to allow for.
_LAGS: Final = {"order": (0.5, 4.0), "orders": (0.5, 4.0), "trades": (0.5, 4.0), "balance": (0.5, 1.5)}
# Faults that a client recovers from by itself, with the most that they are armed with at a time.
_RECOVERABLE: Final = ("F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13", "F14", "F15", "F16", "F17", "F18",
                       "F19", "F20", "F21", "F22", "F23", "F25", "F26", "F27", "F28", "F37", "F38", "F39", "F17", "F24", "F41", "F42",
                       "F44")  # fmt: skip


@dataclass(frozen=True)
class Death:
    """The process dies at a step of its input and output, counted from its start; a power cut takes what was not forced.

    Attributes:
        at: a part of the name of the steps that count; "" for all.
    """

    step: int
    power_cut: bool = False
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One simulated run."""

    seed: int
    protocol: str = "binance"
    symbols: tuple[str, ...] = ("BTC/USDT",)
    bar_minutes: int = 1
    bars: int = 20
    fills: str = "bar"
    fee_asset: str = "received"
    actions: tuple[str, ...] = ACTIONS
    activity: float = 0.6  # the chance of an action in a bar of a symbol
    deaths: tuple[Death, ...] = ()
    faults: dict[str, FaultOptions] = field(default_factory=dict)
    slowest_s: float = 0.05
    lost: float = 0.0
    unanswered: float = 0.0
    reset: float = 0.0
    slow_strategy: float = 0.0  # the chance of five seconds in `next`
    interleaving: float = 0.0  # the chance that the venue's side runs on while Backtrader's has only handed it something
    stops: float = 0.0  # the chance that the process is asked to end, of each bar
    errors: float = 0.0  # the chance of an exception of the strategy, of each bar
    fill_cap: float = 0.0  # units of an order that one print of the market fills at most; 0 for no limit
    disk_full: int = 0  # from this write of the first life on, until it ends; 0 for never
    lags: dict[str, float] = field(default_factory=dict)  # seconds that the venue's answers are behind, by kind of query
    page_limit: int = 0  # rows of a page of the venue's lists; 0 for its own limit
    bare_answers: bool = False  # an answer to an order has its ids only
    transfers: float = 0.0  # the chance that money or coins come or go, or somebody else trades, of each bar
    restarts: tuple[int, ...] = ()  # bars at whose end the venue ends, to start again from its state
    cash: int = 10_000
    together: float = 0.0  # the chance that all orders of a bar are one decision, on the disk in one write
    forced: float = 0.0  # perpetuals: the chance that the venue reduces a position, of each bar

    @property
    def is_perpetual(self) -> bool:
        return ":" in self.symbols[0]

    @property
    def longest_lag_s(self) -> float:
        return max(self.lags.values(), default=0.0)

    @classmethod
    def of(cls, seed: int) -> Scenario:
        """The scenario of a seed."""
        refusals = random.Random(f"stops {seed}")  # of its own: the other seeds mean what they always did
        is_of_refusals = refusals.random() < 0.08
        made = replace(cls._of_everything(seed), together=random.Random(f"together {seed}").choice((0.0, 0.0, 0.5, 1.0)))
        return _of_refusals(made, refusals) if is_of_refusals else made

    @classmethod
    def _of_everything(cls, seed: int) -> Scenario:
        rng, more = random.Random(f"scenario {seed}"), random.Random(f"more of scenario {seed}")
        rough = rng.random() < 0.7
        names = rng.sample(_RECOVERABLE, rng.randint(1, 6)) if rough else []
        protocol = "bybit" if more.random() < 0.35 else "binance"
        is_restarted = more.random() < 0.15
        return cls(
            seed=seed,
            protocol=protocol,
            symbols=_SYMBOLS[: more.choice((1, 1, 1, 2, 3))],
            bar_minutes=rng.choice((1, 1, 1, 5, 60)),
            bars=rng.randint(5, 15),
            fills=rng.choice(("bar", "bar", "book")),
            fee_asset=rng.choice(("received", "received", "quote")),
            actions=tuple(sorted(rng.sample(ACTIONS, rng.randint(2, len(ACTIONS))))),
            activity=rng.choice((0.5, 1.0, 1.0)),
            deaths=tuple(_death(rng, protocol) for _ in range(rng.choice((0, 1, 1, 2, 3)))),
            faults={name: _options(name, rng) for name in names},
            slowest_s=rng.choice((0.005, 0.05, 0.5, 2.0)),
            lost=rng.choice((0.0, 0.02)) if rough else 0.0,
            unanswered=rng.choice((0.0, 0.02)) if rough else 0.0,
            reset=rng.choice((0.0, 0.02)) if rough else 0.0,
            slow_strategy=rng.choice((0.0, 0.1)),
            interleaving=rng.choice((0.0, 0.2, 1.0)),
            stops=rng.choice((0.0, 0.0, 0.1)),
            errors=rng.choice((0.0, 0.0, 0.0, 0.1)),
            fill_cap=rng.choice((0.0, 0.0, 0.0005, 0.002)),
            disk_full=rng.choice((0, 0, 0, rng.randint(1, 60))),
            lags={kind: more.choice(seconds) for kind, seconds in _LAGS.items() if more.random() < 0.5} if more.random() < 0.3 else {},
            page_limit=more.choice((0, 0, 1, 2, 5)),
            bare_answers=more.random() < 0.3,
            transfers=more.choice((0.0, 0.0, 0.0, 0.2)),
            restarts=tuple(more.randint(1, 10) for _ in range(more.choice((1, 2)))) if is_restarted else (),
        )


def _of_refusals(scenario: Scenario, rng: random.Random) -> Scenario:
    """The same with brackets whose orders the venue refuses, and deaths once that is in the journal and before it is dealt with."""
    faults: dict[str, FaultOptions] = {"F26": {"count": 12, "probability": rng.choice((0.3, 0.5)), "after_bars": rng.randint(0, 3)}}
    return replace(
        scenario, actions=rng.choice((("bracket",), ("bracket", "bracket", "market"))), activity=1.0, faults=faults, disk_full=0,
        errors=0.0, stops=0.0, deaths=tuple(Death(rng.randint(1, 5), at="after commit of refused") for _ in range(3)),
    )  # fmt: skip


def of_perpetuals(seed: int) -> Scenario:
    """The scenario of a seed on perpetuals: long and short, with funding, auto-deleveraging and now and then a liquidation.

    Families of orders are left out: what the venue closes by itself takes the position away that their stops protect.
    """
    rng, spot = random.Random(f"perpetuals {seed}"), Scenario.of(seed)
    alone = tuple(action for action in ACTIONS if action not in ("bracket", "oco"))
    return replace(
        spot, protocol="bybit", symbols=tuple(f"{symbol}:USDT" for symbol in spot.symbols), fee_asset="quote", transfers=0.0,
        actions=tuple(sorted(rng.sample(alone, rng.randint(2, len(alone))))),
        deaths=tuple(_death(rng, "bybit") for _ in range(rng.choice((0, 1, 1, 2, 3)))),
        forced=rng.choice((0.0, 0.1, 0.3)), cash=rng.choice((10_000, 10_000, 60)),
    )  # fmt: skip


def _death(rng: random.Random, protocol: str) -> Death:
    cut = rng.random() < 0.3
    if rng.random() < 0.4:
        return Death(rng.randint(1, rng.choice((20, 100, 300))), cut)
    return Death(rng.randint(1, rng.choice((2, 5, 20))), cut, rng.choice(_PLACES + _PLACES_OF[protocol]))


def _options(name: str, rng: random.Random) -> FaultOptions:
    """At most a few firings, anywhere in the run."""
    options: FaultOptions = {"count": rng.randint(1, 3), "probability": rng.choice((0.1, 0.5, 1.0)), "after_bars": rng.randint(0, 10)}
    if name == "F20":
        options |= {"milliseconds": rng.choice((-15_000, -2000, 2000, 5000)), "count": 1}
    if name == "F25":
        options["count"] = 1
    if name == "F6":
        options |= {"probability": 1.0, "seconds": rng.choice((2.0, 8.0))}
    if name in ("F17", "F24"):
        options |= {"count": 1, "seconds": rng.choice((2.0, 90.0, 300.0))}
    if name in ("F41", "F42"):
        options["seconds"] = rng.choice((0.5, 5.0))
    if name == "F44" and rng.random() < 0.5:
        options["on"] = "place"
    if name == "F37" and rng.random() < 0.5:
        options["on"] = "place"
    if name in ("F1", "F2", "F3", "F18", "F19") and rng.random() < 0.3:
        options["on"] = "any"
    return options
