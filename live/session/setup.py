"""The setup of a session's market: a real venue, or a practice exchange that plays the candles that the models are trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import ValidationError

from forwardtrader.core import atomic
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError, InvalidDates, InvalidSetting, StartRefused, VenueUnreachable
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.settings import LearningSettings, Settings, StrategySettings
from forwardtrader.core.types import DataKind, MarketRules
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.feeds.venues.exchange import require_known
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.live.execution.recovery.journal_file import open_journal
from forwardtrader.live.preflight.funds import require_enough
from forwardtrader.live.preflight.owner import ACCOUNT, account_of
from forwardtrader.live.preflight.tradable import require_tradable
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.retraining.stock import WARM_UP
from forwardtrader.live.session.candles import write_history
from forwardtrader.live.session.sandbox_process import PracticeVenue, new_practice, practice_account
from forwardtrader.live.venue.identity import AccountIdentity, require_same_account
from forwardtrader.models.features.selection import look_back
from forwardtrader.models.walk_forward import ANCHOR, lead_bars
from forwardtrader.strategies.costs import maker_fee
from forwardtrader.strategies.orders.entries import volume_objection
from forwardtrader.strategies.trading_state.limits import EVERY_RUN

PLAN: Final = "plan.json"
Plan = dict[str, Any]  # plain JSON values
JOURNAL: Final = "journal.db"
_SAMPLE_REACH: Final = timedelta(days=90)  # of practice market after the first live bar
_MOST_REACH: Final = 30_000  # bars of it, for short bars
_SLACK: Final = 1.1
_ORPHAN_S: Final = 900.0  # that the practice exchange keeps an account with real orders for a session that died
FORECASTS: Final = "forecasts"
_PLAYED_HISTORY: Final = 1500  # bars before the first live one that the practice exchange knows


@dataclass(frozen=True)
class SessionMarket:
    """A venue that is ready to be traded.

    Attributes:
        first_live: open time of the session's first bar; the same after every restart.
        practice: the practice exchange, or None at a real venue.
        forecasts: whether there are models, and history enough for them; the same after every restart.
    """

    kind: DataKind
    rules: Mapping[str, MarketRules]
    first_live: datetime
    clock: Clock
    practice: PracticeVenue | None = None
    forecasts: bool = True


def open_market(request: LiveRequest, last_bar: int | None, clock: Clock, *, forecasts: bool = True) -> SessionMarket:
    """Load the history into the session's folder, fix the first live bar, and start the practice exchange where the request names it.

    Args:
        last_bar: open time (ms UTC) of the newest bar that an earlier process of this session recorded.
        forecasts: whether a session that begins now needs models, and history to train them; one that has begun stays what it is.

    Raises:
        StartRefused: the session was started with other symbols, bars or venue.
        InvalidSetting: orders that rest are to be filled by volumes that are unknown.
        AccountTooSmall: the starting cash of the settings does not pay for the smallest order.
        TradingError: the history is incomplete.
    """
    require_tradable(request)
    plan = _read_plan(request, begun=last_bar is not None or _has_sent(request))
    forecasts = bool(plan.get(FORECASTS, True)) if plan else forecasts
    if request.sandbox:
        return _practice_market(request, plan, last_bar, clock, forecasts)
    first = _moment(plan) or candles.grid_floor(clock.now(), request.timeframe)
    start = _start(request, first, forecasts)
    histories = {s: load_history(request.settings.feeds, s, start=start, end=first, clock=clock) for s in request.symbols}
    if any(history.is_made_up for history in histories.values()):
        raise VenueUnreachable(f"{request.settings.feeds.exchange} cannot be reached; look at the network, or add --sandbox to practise")
    if request.mode == "paper":
        _require_volumes(request, histories)
    if request.mode == "paper" and last_bar is None:
        _require_cash(request, histories, first)
    _write_plan(request, first, forecasts)
    return _market(request, histories, first, clock, None, forecasts)


def _practice_market(request: LiveRequest, plan: Plan | None, last_bar: int | None, clock: Clock, forecasts: bool) -> SessionMarket:
    require_known(request.settings.feeds.exchange)
    whole = _practice_histories(request, _moment(plan), clock, forecasts)
    first = _moment(plan) or _practice_start(request, whole, forecasts)
    _require_volumes(request, whole)
    if last_bar is None:
        _require_cash(request, whole, first)
    frames = {symbol: history.candles for symbol, history in whole.items()}
    files = {symbol: _market_file(request, symbol, frame, first) for symbol, frame in frames.items()}
    settings = _practice_settings(request, files, first, last_bar) | _spoken(plan)
    if request.mode == "live":
        venue = practice_account(request.folder, settings, is_needed=last_bar is not None or _has_sent(request))
    else:
        venue = new_practice(request.folder, settings)  # the account is the paper broker's
    _write_plan(request, first, forecasts)
    return _market(request, whole, first, venue, venue, forecasts)


def _market(
    request: LiveRequest, histories: Mapping[str, History], first: datetime, clock: Clock, practice: PracticeVenue | None, forecasts: bool
) -> SessionMarket:
    # The histories are not kept in memory: a training reads them again, one symbol at a time.
    write_history(request.folder, {s: _before_first(h, first) for s, h in histories.items()})
    kinds = {h.kind for h in histories.values()}
    kind = DataKind.SAMPLE if DataKind.SAMPLE in kinds or practice is not None else DataKind.REAL
    return SessionMarket(kind, {s: h.rules for s, h in histories.items()}, first, clock, practice, forecasts)


def _require_cash(request: LiveRequest, histories: Mapping[str, History], first: datetime) -> None:
    """Check the cash before anything is written or trained, so that the same command with more of it starts the same session."""
    rules = [history.rules for history in histories.values()]
    before = {symbol: _before_first(history, first) for symbol, history in histories.items()}
    prices = {symbol: float(frame["close"].iloc[-1]) for symbol, frame in before.items() if len(frame)}
    cash = Decimal(str(request.settings.strategies.cash))
    require_enough(dict.fromkeys((r.quote for r in rules), cash), rules, prices, "set strategies.cash higher")


def _require_volumes(request: LiveRequest, histories: Mapping[str, History]) -> None:
    volumes = {symbol: history.candles["volume"].to_numpy(dtype=np.float64) for symbol, history in histories.items()}
    if objection := volume_objection(request.settings.strategies, volumes):
        raise InvalidSetting(objection)


def _before_first(history: History, first: datetime) -> pd.DataFrame:
    return history.candles.iloc[: int(candles.times_of(history.candles).searchsorted(pd.Timestamp(first)))]


def _has_sent(request: LiveRequest) -> bool:
    """Whether an earlier process of the session sent an order; it may have died before its first bar was recorded."""
    path = request.folder / JOURNAL
    if not path.is_file() and not path.with_suffix(".intents").is_file():
        return False
    with closing(open_journal(path)) as journal:
        return bool(journal.intents())


def _practice_histories(request: LiveRequest, planned: datetime | None, clock: Clock, forecasts: bool) -> dict[str, History]:
    feeds = request.settings.feeds.model_copy(update={"source": "sample"})
    file = None if request.market == "sample" else Path(request.market)
    if file is not None and len(request.symbols) > 1:
        raise ConfigError("--market with a file plays one symbol; name one --symbol, or use --market sample")
    start = None if file is not None else _start(request, planned or _sample_start(request, clock), forecasts)
    found = {s: load_history(feeds, s, start=start, end=None, clock=clock, file=file) for s in request.symbols}
    exchange = request.settings.feeds.exchange
    return {
        symbol: History(**{**vars(history), "rules": market_rules(symbol, exchange)}) if history.kind is DataKind.SAMPLE else history
        for symbol, history in found.items()
    }


def _sample_start(request: LiveRequest, clock: Clock) -> datetime:
    """A day after a training boundary, so that sessions started in the same month find the same model."""
    every = max(request.settings.models.retrain_every, timedelta(days=1))
    reach = min(_SAMPLE_REACH, _MOST_REACH * request.timeframe.delta)
    return ANCHOR + (clock.now() - reach - ANCHOR) // every * every + timedelta(days=1)


def _practice_start(request: LiveRequest, whole: Mapping[str, History], forecasts: bool) -> datetime:
    """Open time of the first live bar of a practice market: as soon as there is history enough for the first model."""
    first = max(candles.times_of(h.candles)[0] for h in whole.values()).to_pydatetime()
    last = min(candles.times_of(h.candles)[-1] for h in whole.values()).to_pydatetime()
    before = _before(request) if forecasts else min(WARM_UP * request.timeframe.delta, (last - first) / 2)
    needed = candles.grid_floor(first + before, request.timeframe) + request.timeframe.delta
    if needed >= last and forecasts:
        raise InvalidDates(
            f"the market spans {first:%Y-%m-%d} .. {last:%Y-%m-%d}, less than the models need to learn ({_before(request).days} days); "
            f"give a longer one, or set a shorter models.train_window"
        )
    if needed >= last:
        raise InvalidDates(
            f"the market spans {first:%Y-%m-%d %H:%M} .. {last:%Y-%m-%d %H:%M}, which leaves no bar to trade; give a longer one"
        )
    return needed


def _before(request: LiveRequest) -> timedelta:
    """How much history the first model and the indicators need."""
    models = request.settings.models
    bars = lead_bars(models, look_back(models.features, request.timeframe)) + 2
    return models.train_window + models.retrain_every + bars * request.timeframe.delta * _SLACK


def _start(request: LiveRequest, first: datetime, forecasts: bool) -> datetime:
    if not forecasts:
        return first - WARM_UP * request.timeframe.delta
    # The model that the first one is warm-started from may lie further back; it is not required.
    models = request.settings.models
    return first - _before(request) - (models.anew_every - 1) * models.retrain_every


def _practice_settings(request: LiveRequest, files: Mapping[str, Path], first: datetime, last_bar: int | None) -> Plan:
    account, exchange = request.settings.strategies, request.settings.feeds.exchange
    rules = {symbol: market_rules(symbol, exchange) for symbol in request.symbols}
    one = next(iter(rules.values()))
    settings: Plan = {
        "protocol": _protocol(exchange, is_perpetual=one.is_perpetual),
        "symbols": request.symbols,
        "market": [f"{symbol}={path}" for symbol, path in files.items()],
        "timeframe": str(request.timeframe),
        "speed": request.speed,
        "seed": request.settings.feeds.sample_seed,
        "history": _played(next(iter(files.values())), first, last_bar),
        "fills": request.settings.live.practice_fills if request.mode == "live" else "bar",
        "fee_asset": "received" if one.fee_in_base else "quote",
        "maker_fee_bps": _maker_fee_bps(account, one),
        "taker_fee_bps": account.fee_bps,
        "slippage_bps": account.slippage_bps,
        **({"volume_share": account.volume_share} if account.entry == "maker" else {}),
        "waits": True,
        "owner": os.getpid(),
        "orphan_s": _ORPHAN_S if request.mode == "live" else 0.0,
        "balances": {one.quote: str(account.cash)},
        **(_of_perpetuals(request) if one.is_perpetual else {}),
        "rules": {symbol: _practice_rules(each) for symbol, each in rules.items()},
    }
    if request.faults is not None:
        settings["faults"] = _faults(request.faults)
    return settings


def _protocol(exchange: str, *, is_perpetual: bool) -> str:
    """What the practice exchange speaks in place of a venue: the venue's own where it can."""
    if exchange == "bybit" or (is_perpetual and not exchange.startswith("binance")):
        return "bybit"
    return "binance"


def _spoken(plan: Plan | None) -> Plan:
    """What the practice exchange of a session with real orders has spoken so far, whatever it would speak to one that begins now."""
    known = (plan or {}).get(ACCOUNT)
    return {"protocol": known["venue"]} if isinstance(known, Mapping) and known.get("venue") in ("binance", "bybit") else {}


def _practice_rules(rules: MarketRules) -> Plan:
    """Those that a replay goes by: where no largest market order is known, that of a limit order is none that anybody meets."""
    most = rules.max_market_size or rules.step * 10**9
    known = {"tick": rules.tick, "step": rules.step, "min_size": rules.min_size, "min_notional": rules.min_notional}
    return {**known, "max_market_size": most}


def _maker_fee_bps(account: StrategySettings, rules: MarketRules) -> float:
    """What a backtest charges orders that rest: on spot post-only entries alone."""
    maker = maker_fee(account, rules) if rules.is_perpetual or account.entry == "maker" else None
    return account.fee_bps if maker is None else maker * 1e4


def _of_perpetuals(request: LiveRequest) -> Plan:
    return {"leverage": str(request.settings.strategies.leverage)}


def _faults(path: Path) -> Plan:
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"fault file {path} cannot be read: {error}") from error
    return {name: {} for name in tree} if isinstance(tree, list) else {name: options or {} for name, options in (tree or {}).items()}


def _played(path: Path, first: datetime, last_bar: int | None) -> int:
    """How many bars of the market file lie in the past: those before the first live one, or up to the newest recorded one."""
    present = int(first.timestamp() * 1000) if last_bar is None else last_bar + 1
    return int((pd.read_csv(path, usecols=["timestamp"])["timestamp"] < present).sum())


def _market_file(request: LiveRequest, symbol: str, frame: pd.DataFrame, first: datetime) -> Path:
    """The candles that the practice exchange plays, from some bars before the first live one on."""
    path = (request.folder / "market" / f"{symbol.replace('/', '-')}.csv").resolve()
    begin = max(0, int(candles.times_of(frame).searchsorted(pd.Timestamp(first))) - _PLAYED_HISTORY)
    if not path.is_file():
        kept = frame.iloc[begin:]
        lines = ["timestamp,open,high,low,close,volume"]
        times = (candles.times_of(kept).as_unit("ns").asi8 // 1_000_000).tolist()
        columns = [kept[name].tolist() for name in ("open", "high", "low", "close", "volume")]
        lines += [",".join([str(at), *(repr(value) for value in row)]) for at, *row in zip(times, *columns, strict=True)]
        atomic.write_text(path, "\n".join(lines) + "\n")
    return path


def _read_plan(request: LiveRequest, *, begun: bool) -> Plan | None:
    """The plan of a session that was started before; one that has not `begun` to trade may still change its account."""
    path = request.folder / PLAN
    if not path.is_file():
        return None
    plan: Plan = {"learning": LearningSettings(intervals=False).model_dump(mode="json"), "risk": {}} | _plan_in(path)
    if begun and (account := _account(request)) is not None:
        require_same_account(plan.get(ACCOUNT), account, request.name)
    for name, value in _facts(request).items():
        planned = _upgraded(name, plan.get(name, [] if name in ("factors", "resample") else None), value)
        if planned != value:
            what, was, now = _difference(name, planned, value)
            raise StartRefused(f"session {request.name!r} was started with {what} {was}, not {now}; keep that, or choose another --session")
    return plan


def _plan_in(path: Path) -> Plan:
    try:
        plan: Plan = json.loads(path.read_text(encoding="utf-8"))
        datetime.fromisoformat(plan["first_live"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged; put a copy of it back, or start a session of another name with --session") from error
    return plan


def _upgraded(name: str, planned: object, now: object) -> object:
    """A group of settings as this version knows it: without those that are gone, and with the defaults of those that are new."""
    if name == "factors":
        return _entries(planned)
    if not isinstance(planned, dict) or not isinstance(now, dict):
        return planned
    usual = getattr(Settings(), name).model_dump(mode="json")
    if name == "learning":
        usual["intervals"] = False  # no forecast was corrected before this could be set
    return {key: planned.get(key, usual[key]) for key in now}


def _entries(planned: object) -> object:
    """Entries of `feeds.factors` with the defaults of what later versions can say of them; as they are where they cannot be read."""
    if not isinstance(planned, list):
        return planned
    try:
        return [FactorSettings.model_validate(entry).model_dump(mode="json") for entry in planned]
    except ValidationError:
        return planned


def _difference(name: str, planned: object, now: object) -> tuple[str, object, object]:
    """Name, old and new value of what differs; of a group of settings the first that does."""
    if not isinstance(planned, dict) or not isinstance(now, dict):
        return name, planned, now
    key = next(key for key in now if planned[key] != now[key])
    return f"{name}.{key}", planned[key], now[key]


def _write_plan(request: LiveRequest, first: datetime, forecasts: bool) -> None:
    account = _account(request)
    facts = {
        **_facts(request),
        **({ACCOUNT: asdict(account)} if account is not None else {}),
        "first_live": first.isoformat(),
        FORECASTS: forecasts,
    }
    atomic.write_text(request.folder / PLAN, json.dumps(facts, indent=1))


def _account(request: LiveRequest) -> AccountIdentity | None:
    """What the plan holds of the account; nothing on paper and at the practice exchange."""
    return account_of(request) if request.mode == "live" and not request.sandbox else None


def _facts(request: LiveRequest) -> Plan:
    """What must not change between the starts of a session."""
    feeds = request.settings.feeds
    return {
        "symbols": list(request.symbols), "timeframe": str(request.timeframe), "exchange": feeds.exchange, "mode": request.mode,
        "market": request.market if request.sandbox else "venue", "strategy": request.strategy,
        "factors": feeds.model_dump(mode="json")["factors"], "resample": list(feeds.resample),
        "models": request.settings.models.model_dump(mode="json"), "strategies": request.settings.strategies.model_dump(mode="json"),
        "learning": request.settings.learning.model_dump(mode="json"), **_limits(request),
    }  # fmt: skip


def _limits(request: LiveRequest) -> Plan:
    """The account's limits that decide which orders a paper session's recorded bars gave; with real orders they may change."""
    risk = request.settings.risk.model_dump(mode="json")
    return {"risk": {key: risk[key] for key in EVERY_RUN}} if request.mode == "paper" else {}


def _moment(plan: Plan | None) -> datetime | None:
    return datetime.fromisoformat(plan["first_live"]).astimezone(UTC) if plan else None
