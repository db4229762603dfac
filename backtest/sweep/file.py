"""The sweep file of `--sweep`: which settings to vary over which values.

A grid lists values for each key; a search gives `trials` and may also give ranges:

    strategies.margin: [1, 1.5, 2]

    trials: 40
    strategies.margin: {low: 0.5, high: 3, step: 0.25}
    models.learning_rate: {low: 0.001, high: 0.03, log: true}
    models.units: {choices: [16, 32]}

A parameter of the strategy named by `--strategy` is `strategy.NAME` (`param.NAME` means the same):

    strategy.fast: [5, 10, 20]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from forwardtrader.backtest.run_record import WITHOUT_EFFECT
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.config import OPEN, all_keys, changed
from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting
from forwardtrader.core.settings import Settings
from forwardtrader.strategies.trading_state.limits import EVERY_RUN
from forwardtrader.strategies.user_code.strategy_class import with_params

Point: TypeAlias = Mapping[str, Any]

PARAMS: Final = ("strategy.", "param.")
MOST_POINTS: Final = 10_000
OWN_KEYS: Final = ("trials", "seed")
# What a file of `--optimise` says besides.
WALK_KEYS: Final = ("window", "every", "score")
RANGE_KEYS: Final = ("low", "high", "log", "step", "choices")
# Of the feeds, only what is traded can be swept; where candles come from changes no decision.
FEED_KEYS: Final = ("symbols", "timeframe", "sample_seed")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One key with its listed values, or a range where there are none; `whole` for a range of integers."""

    key: str
    choices: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    step: float | None = None
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What to try: all combinations where `trials` is None, so many points of a search otherwise."""

    axes: tuple[Axis, ...]
    trials: int | None
    seed: int

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(axis.key for axis in self.axes)

    def grid(self) -> list[Point]:
        """Every combination, the last key changing fastest."""
        return [dict(zip(self.keys, values, strict=True)) for values in itertools.product(*(axis.choices for axis in self.axes))]


def read_plan(path: Path, settings: Settings, strategy: str = "") -> SweepPlan:
    """Read and check a sweep file against the settings in force, and parameters against the strategy of the user's.

    Raises:
        ConfigError: the file is missing, is not YAML, or is no mapping.
        UnknownSetting: a key nobody knows; the message names the nearest.
        InvalidSetting: a value out of range, an empty list, a range without an end, or too many points.
    """
    return plan_of(path, read_tree(path, "--sweep"), settings, strategy)


def plan_of(path: Path, tree: Mapping[Any, Any], settings: Settings, strategy: str = "") -> SweepPlan:
    """The same of what was read from the file already."""
    trials, seed = (_count(path, tree, word) for word in OWN_KEYS)
    axes = tuple(_axis(path, str(key), value, searching=trials is not None) for key, value in tree.items() if key not in OWN_KEYS)
    if not axes:
        raise InvalidSetting(f"{path} names no setting to sweep over; write for example `strategies.margin: [1, 1.5, 2]`")
    points = math.prod(len(axis.choices) for axis in axes) if trials is None else trials
    if points > MOST_POINTS:
        raise InvalidSetting(f"{path} asks for {points:,} points; list fewer values, or search with `trials: 100`")
    _check_values(path, axes, settings, strategy)
    return SweepPlan(axes=axes, trials=trials, seed=settings.models.seed if seed is None else seed)


def parameter(key: str) -> str:
    """The parameter of the user's strategy that a key stands for; "" for a setting."""
    return next((key.removeprefix(prefix) for prefix in PARAMS if key.startswith(prefix)), "")


def _check_values(path: Path, axes: Sequence[Axis], settings: Settings, strategy: str) -> None:
    seen: dict[str, str] = {}
    for axis in axes:
        name = parameter(axis.key)
        if name and not strategy:
            meant = nearest(f"strategies.{name}", [f"strategies.{key}" for key in all_keys()["strategies"]])
            raise UnknownSetting(f"{path}: {axis.key} is a parameter of a strategy of yours, which --strategy names{meant}")
        if name and seen.setdefault(name, axis.key) != axis.key:
            raise InvalidSetting(f"{path}: {seen[name]} and {axis.key} are the same parameter; name it once")
        for value in axis.choices or (axis.low, axis.high):
            if name:
                with_params(strategy, [f"{name}={value}"], said=f"{path}: {axis.key.removesuffix(name)}")
            else:
                changed(settings, {axis.key: value})


def read_tree(path: Path, flag: str) -> dict[Any, Any]:
    """What a file of points says; `flag` is the one that named it.

    Raises:
        ConfigError: the file is missing, is not YAML, or is no mapping.
    """
    if not path.is_file():
        raise ConfigError(f"{flag} {path}: there is no such file")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{flag} {path} is not valid YAML{f' (line {mark.line + 1})' if mark else ''}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{flag} {path} must map settings to values, for example `strategies.margin: [1, 1.5, 2]`")
    return tree


def _count(path: Path, tree: Mapping[Any, Any], word: str) -> int | None:
    value = tree.get(word)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < (word == "trials")):
        raise InvalidSetting(f"{path}: {word} must be a whole number of at least {int(word == 'trials')}, not {value!r}")
    return value


def _axis(path: Path, key: str, given: Any, *, searching: bool) -> Axis:
    _check_key(key)
    if isinstance(given, dict):
        stray = [word for word in given if word not in RANGE_KEYS]
        if stray:
            raise InvalidSetting(f"{path}: {key}: {stray[0]!r} is not known{nearest(str(stray[0]), RANGE_KEYS)}; use low, high, log, step")
        if "choices" not in given:
            return _range(path, key, given, searching=searching)
        given = given["choices"]
    if not isinstance(given, list) or not given:
        raise InvalidSetting(f"{path}: {key} has no values; write a list such as [1, 2], or {{low: 1, high: 2}}")
    twice = [value for n, value in enumerate(given) if value in given[:n]]
    if twice:
        raise InvalidSetting(f"{path}: {key} lists {twice[0]!r} twice")
    return Axis(key=key, choices=tuple(given))


def _check_key(key: str) -> None:
    if parameter(key):
        return  # checked with its values, against the strategy
    rooms = all_keys()
    room, _, name = key.partition(".")
    sweepable = {
        "feeds": list(FEED_KEYS),
        "models": [k for k in rooms["models"] if k not in (*WITHOUT_EFFECT, "baselines", "compared", "params")],
        "learning": rooms["learning"],
        "strategies": rooms["strategies"],
        "risk": list(EVERY_RUN),
    }
    known = [f"{r}.{k}" for r, keys in sweepable.items() for k in keys]
    if key in known or _of_the_forecaster(key):
        return
    if key in WALK_KEYS:
        raise InvalidSetting(f"{key} is for --optimise, which chooses anew at each boundary; leave it out of a sweep")
    if name in rooms.get(room, []):
        raise InvalidSetting(f"{key} decides nothing about a result, so there is nothing to sweep over")
    raise UnknownSetting(f"{key}: no such setting{nearest(key, [*known, *OWN_KEYS])}")


def _of_the_forecaster(key: str) -> bool:
    """Whether it is a parameter of the forecaster (`models.params.NAME`), which is checked with its values."""
    return key.rpartition(".")[0] in OPEN


def _range(path: Path, key: str, given: Mapping[str, Any], *, searching: bool) -> Axis:
    low: Any = given.get("low")
    high: Any = given.get("high")
    step: Any = given.get("step")
    log = bool(given.get("log", False))
    if not _number(low) or not _number(high) or not (step is None or _number(step)):
        raise InvalidSetting(f"{path}: {key}: low, high and step must be numbers; list other values one by one")
    if low >= high or (step is not None and step <= 0) or (log and low <= 0):
        raise InvalidSetting(f"{path}: {key}: low must lie below high, a step and the low end of a log range above zero")
    if log and step is not None:
        raise InvalidSetting(f"{path}: {key}: a log range takes no step")
    room, _, name = key.partition(".")
    if parameter(key) or _of_the_forecaster(key):
        whole = all(isinstance(x, int) for x in (low, high, step or 1))
    else:
        whole = type(getattr(Settings(), room)).model_fields[name].annotation in (int, int | None)
    if whole and not all(isinstance(x, int) for x in (low, high, step or 1)):
        raise InvalidSetting(f"{path}: {key} is a whole number; so must be low, high and step")
    axis = Axis(key=key, low=low, high=high, step=step, log=log, whole=whole)
    if searching:
        return axis
    if step is None:
        raise InvalidSetting(f"{path}: {key}: a grid needs a step; give one, or `trials: 40` for a search")
    steps = range(int((high - low) / step * (1 + 1e-12)) + 1)
    return Axis(key=key, choices=tuple(low + n * step if whole else round(low + n * step, 12) for n in steps))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
