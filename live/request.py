"""What a live command asks for, read from its flags."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from forwardtrader.core.command.project import typed_object, typed_path
from forwardtrader.core.config import load_settings, parse_assignment
from forwardtrader.core.errors import ConfigError, InvalidDates, InvalidSetting
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.files import parse_factor
from forwardtrader.live.control import ControlCommand, the_one
from forwardtrader.live.flags import parser
from forwardtrader.strategies.user_code.strategy_class import with_params

_LONGEST_NAME: Final = 100  # bytes; names of files are made of it
_VERBS: Final = (ControlCommand.PAUSE, ControlCommand.RESUME, ControlCommand.FLATTEN, ControlCommand.KILL)


@dataclass(frozen=True)
class LiveRequest:
    """One live command. `speed` is times real time or "lockstep"; `confirmed` counts how often --yes-real-money was given."""

    settings: Settings
    name: str
    mode: Literal["paper", "live"] = "paper"
    confirmed: int = 0
    sandbox: bool = False
    speed: float | str = 1800.0
    market: str = "sample"
    faults: Path | None = None
    strategy: str = ""
    bars: int = 0
    until: datetime | None = None
    verb: ControlCommand | None = None
    status: bool = False
    check: bool = False
    quiet: bool = False
    command: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.settings.live.sessions_path) / self.name

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.settings.feeds.symbols

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.parse(self.settings.feeds.timeframe)


def read_request(argv: Sequence[str]) -> LiveRequest:
    """The request that a command line stands for. Raises as `request_of`."""
    return request_of(parser().parse_args(argv), argv)


def request_of(given: argparse.Namespace, argv: Sequence[str]) -> LiveRequest:
    """The request that flags stand for; `argv` is recorded as the command.

    Raises:
        ConfigError, InvalidSetting, UnknownSetting, InvalidDates: the flags contradict each other or a setting is wrong.
    """
    settings = load_settings(given.config and typed_path(given.config), overrides=_overrides(given))
    Timeframe.parse(settings.feeds.timeframe)
    mode: Literal["paper", "live"] = "live" if given.live else "paper"
    if given.live and given.paper:
        raise ConfigError("--paper and --live exclude each other; choose one")
    verb = next((verb for verb in _VERBS if getattr(given, verb)), None)
    controls = verb is not None or given.status
    if given.live and not given.sandbox and not given.yes_real_money and not controls:
        raise ConfigError("--live sends real orders; add --yes-real-money if that is meant, --sandbox to practise, or leave --live out")
    if not given.sandbox and (given.faults or given.market or given.speed):
        raise ConfigError("--speed, --market and --faults belong to the practice exchange; add --sandbox")
    if given.sandbox and settings.feeds.confirm_exchanges:
        raise ConfigError("the practice exchange is one venue, which no other one knows; name one --exchange with --sandbox")
    if settings.feeds.universe:
        raise ConfigError("feeds.universe is for backtests; a session trades what --symbol names: add --set feeds.universe=''")
    if given.bars < 0:
        raise InvalidSetting(f"--bars {given.bars}: give a number of bars, or leave it out to go on until stopped")
    name = _controlled(given, verb, settings) if controls and given.session is None else _name(given, mode)
    return LiveRequest(
        settings=_with_own_records(settings, name) if given.sandbox else settings,
        name=name,
        mode=mode,
        confirmed=given.yes_real_money,
        sandbox=given.sandbox,
        speed=_speed(given.speed),
        market=str(typed_path(given.market)) if given.market not in (None, "sample") else "sample",
        faults=given.faults and typed_path(given.faults),
        strategy=with_params(typed_object(given.strategy), given.param),
        bars=given.bars,
        until=_moment(given.until),
        verb=verb,
        status=given.status,
        check=given.check,
        quiet=given.quiet,
        command=shlex.join(["python", "run_live.py", *argv]),
    )


def _with_own_records(settings: Settings, name: str) -> Settings:
    """What a practice exchange says is no venue's history: it is recorded in the session's folder."""
    folder = Path(settings.live.sessions_path) / name / "factors"
    return settings.model_copy(update={"feeds": settings.feeds.model_copy(update={"factor_path": str(folder)})})


def _overrides(given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = dict(parse_assignment(text) for text in given.set)
    exchanges = tuple(given.exchange or ())
    if exchanges:
        found["feeds.exchange"] = exchanges[0]
        found["feeds.confirm_exchanges"] = exchanges[1:]
        found["feeds.fallback_exchanges"] = tuple(name for name in exchanges[1:] if ":" not in name)
    if given.symbol:
        found["feeds.symbols"] = tuple(dict.fromkeys(given.symbol))
    if given.timeframe:
        found["feeds.timeframe"] = given.timeframe
    if given.resample:
        found["feeds.resample"] = tuple(given.resample)
    if given.forecaster:
        found["models.forecaster"] = typed_object(given.forecaster)
    if given.factor:
        found["feeds.factors"] = [parse_factor(text) for text in given.factor]
    return found


def _controlled(given: argparse.Namespace, verb: ControlCommand | None, settings: Settings) -> str:
    """The session that a command means which names none."""
    purpose = "--status" if verb is None else f"--{verb}"
    return the_one(Path(settings.live.sessions_path), purpose, at_rest=verb is None, killed=verb is ControlCommand.RESUME)


def _name(given: argparse.Namespace, mode: str) -> str:
    name = (f"{mode}-sandbox" if given.sandbox else mode) if given.session is None else given.session
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith((".", "-")):
        raise InvalidSetting(f"--session {name!r}: use letters, digits, - and _ (and dots), and begin with none of - and .")
    if len(name.encode()) > _LONGEST_NAME:
        raise InvalidSetting(f"--session: a name of {len(name)} characters; use {_LONGEST_NAME} at most")
    return str(name)


def _speed(text: str | None) -> float | str:
    if text is None:
        return 1800.0
    if text == "lockstep":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise InvalidSetting(f"--speed {text!r}: give a number above 0 and up to 100000, or lockstep")
    return value


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDates(f"--until {text!r} is not a time; write it as 2026-01-31T12:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
