"""The store: one venue for Backtrader, live.

    store = CCXTStore("binance", api_key=..., api_secret=...)
    cerebro.adddata(store.getdata(dataname="BTC/USDT", timeframe=bt.TimeFrame.Minutes, compression=1, history=100))
    cerebro.setbroker(store.getbroker())

It connects when Backtrader starts, not before; two stores are two accounts.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.merge import ConfirmingVenue, JudgedState, LiveMerge
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.feeds.venues.contracts import require_one_account
from forwardtrader.live.bridge.arrivals import Arrivals
from forwardtrader.live.bridge.bar_barrier import BarBarrier
from forwardtrader.live.bridge.broker import CCXTBroker
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.bridge.market import RECENT, Market
from forwardtrader.live.bridge.recovery import rebuilt
from forwardtrader.live.bridge.venue_thread import VenueThread
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import AccountEvent, Execution
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.order_lookup import QueryTimeouts
from forwardtrader.live.execution.risk_limits import AccountRiskLimits
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.client_ids import own_prefixes
from forwardtrader.live.venue.keys import ccxt_credentials
from forwardtrader.models.forecaster import IncrementalSource
from forwardtrader.strategies.feed_context import context_of

_LOG: Final = log.logger("live")
Notification: TypeAlias = tuple[object, tuple[object, ...], dict[str, object]]


class CCXTStore:
    """One venue, and one account there if a broker is asked for.

    Args:
        passphrase: of the key, where the venue has one (OKX, KuCoin).
        base_url, ws_url: another host that speaks the venue's protocol, e.g. a practice exchange.
        journal: of the orders; a file of its own under the temporary folder where None.
        run: prefix of the client ids of this run; equal for a run that is resumed.
        clock: the venue's time; of a practice exchange what `start_sandbox` returns.
        bar_timeout_s: how long symbols wait for each other's bar.
        query_timeouts: of lookups and cancels of orders.
        witnesses: other venues that confirm this one's prices, as `confirmation` says.
        risk: limits checked before every order; None for none.
        minute_s: seconds of this machine in a minute of the market, for those limits; 0 where the market has no clock.
        loop: the thread that serves the venue, and the machine's time; a simulation's in place of the real ones.
        leverage: of perpetuals, set at the start.

    Raises (when Backtrader starts):
        VenueUnreachable, VenueRefused, UnknownSymbol, UnknownTimeframe, UnknownVenue.
    """

    def __init__(
        self, exchange: str = "binance", *, api_key: str = "", api_secret: str = "", passphrase: str = "", base_url: str = "",
        ws_url: str = "", journal: Journal | None = None, run: str = "bt", clock: Clock | None = None, poll: PollRule | None = None,
        query_timeouts: QueryTimeouts | None = None, bar_timeout_s: float = 5.0, risk: RiskSettings | None = None, minute_s: float = 60.0,
        witnesses: Sequence[ConfirmingVenue] = (), confirmation: ConfirmationSettings | None = None, loop: VenueThread | None = None,
        leverage: float = 1.0,
    ) -> None:  # fmt: skip
        self.exchange, self.run = exchange, run
        self.clock = clock or SystemClock()
        self._poll = poll
        self._bar_timeout_s = bar_timeout_s
        self.loop = loop or VenueThread()
        self.wake = self.loop.condition()
        self.prices: dict[str, float] = {}
        self.events: deque[AccountEvent] = deque()
        self.is_connected = True
        self.is_stopping = False
        self.on_idle: Callable[[], None] | None = None  # called where a feed has nothing to deliver
        self.on_bar: Callable[[str, Bar], None] | None = None  # called in the venue's thread
        self.on_order: Callable[[], object] = bool  # called once an order's request is out
        # Which executions of the journal the owner has; the others are reported again at a start, so that its own record is complete.
        self.was_recorded: Callable[[Execution], bool] = lambda _execution: True
        self.recorded: Collection[tuple[str, str]] = ()  # those of them that are known to it, by symbol and trade id
        self.began: int | None = None  # the earliest time (ms) that an order of this run may be of
        self.recorded_until: int | None = None  # the end (ms) of the newest bar that an earlier process recorded
        self.client: CcxtClient | None = None
        self.account: CcxtAccount | None = None
        self.broker: CCXTBroker | None = None
        self.on_merge_event: Callable[..., None] | None = None  # receives events of the comparison of venues, in the venue's thread
        self.on_signal: Callable[[str, Bar], None] = lambda _symbol, _bar: None  # what features see in place of a bar that follows
        self.judged_state: JudgedState | None = None  # keeps the judgement of venues across restarts
        self._witnesses, self._confirmation = tuple(witnesses), confirmation or ConfirmationSettings()
        self._journal = journal
        self._base_url, self._ws_url = base_url, ws_url
        self._keys = ccxt_credentials(api_key, api_secret, passphrase)
        self._query_timeouts = query_timeouts
        self.closes_unprotected = risk is None or risk.on_missing_stop == "close"
        self._leverage = Decimal(str(leverage))
        self.risk_limits: AccountRiskLimits | None = None
        if risk is not None:
            self.risk_limits = AccountRiskLimits(
                risk, self.last_price, minute_s=minute_s, can_short=self._can_short, monotonic=self.loop.monotonic
            )
        self._closes: dict[str, float] = {}
        self._datas: list[CCXTData] = []
        self._markets: dict[str, Market] = {}
        self._turns_at_rest = 0
        self.arrivals = Arrivals(self.wake, self.prices, self._has_bars, self.loop.monotonic)
        self.unsafe: dict[str, str] = {}  # why a symbol's positions must not grow, set by the owner; "" for all of them
        self._notifications: deque[Notification] = deque()

    # What users call

    def getdata(self, dataname: str, **params: Any) -> CCXTData:
        """A feed of one symbol; `timeframe` and `compression` as everywhere in Backtrader, further params as in `CCXTData`."""
        params = {"dataname": dataname, "timeframe": bt.TimeFrame.Minutes, **params}
        data = CCXTData(**params)
        data.store = data._store = self
        self._datas.append(data)
        return data

    def getbroker(self, **params: Any) -> CCXTBroker:
        """The broker of this store's account; always the same one."""
        if self.broker is None:
            self.broker = CCXTBroker(**params)
            self.broker.store = self
        return self.broker

    def request_stop(self) -> None:
        """End the run after the turn in progress; may be called from any thread or signal handler's thread."""
        self.is_stopping = True
        with self.wake:
            self.wake.notify_all()

    def halt(self, reason: str) -> None:
        """Let the account send no more orders; may be called from any thread."""
        if self.account is not None:
            self.account.halt(reason)

    # What Backtrader calls

    def start(self, data: CCXTData | None = None, broker: CCXTBroker | None = None) -> None:
        """Connect; a second call does nothing."""
        if self.client is not None:
            return
        self.loop.start()
        try:
            require_one_account([each.symbol for each in self._datas])
            self.client = self.loop.open_client(self.exchange, linear=self.is_linear, base_url=self._base_url, ws_url=self._ws_url)
            groups: dict[str, list[str]] = {}
            for each in self._datas:
                groups.setdefault(str(each.bar_length), []).append(each.symbol)
            self._markets = {text: self._market(Timeframe.parse(text), symbols) for text, symbols in groups.items()}
            barriers = [market.barrier for market in self._markets.values()]
            for barrier in barriers:
                barrier.beside = [each for each in barriers if each is not barrier]
            for market in self._markets.values():
                self.loop.call(market.source.connect())
                if self._witnesses:
                    self.loop.call(self._compare_venues(market))
            if self.broker is not None:
                self._open_account(self.broker)
        except BaseException:
            self.stop()
            self.client, self.account, self._markets, self.is_stopping = None, None, {}, False  # another start may go better
            raise

    def stop(self) -> None:
        """Close every connection; a second call does nothing."""
        self.is_stopping = True
        if not self.loop.is_running:
            return
        elsewhere = [client for market in self._markets.values() if market.merge for client in market.merge.clients]
        clients = [self.client, self.account.client if self.account else None, *elsewhere]
        self.loop.stop(*(client.close for client in clients if client is not None))

    def put_notification(self, message: object, *args: object, **kwargs: object) -> None:
        self._notifications.append((message, args, kwargs))

    def get_notifications(self) -> list[Notification]:
        return [self._notifications.popleft() for _ in range(len(self._notifications))]

    # What feeds and broker call

    def rules(self, symbol: str) -> MarketRules:
        """What the venue accepts for a symbol; once connected."""
        return next(m.source.rules(symbol) for m in self._markets.values() if symbol in m.source.symbols)

    @property
    def datas(self) -> Sequence[CCXTData]:
        """The feeds that are traded: of each symbol the one with the shortest bars."""
        return [data for data in self._datas if data.traded is data]

    @property
    def is_linear(self) -> bool:
        """Whether it is linear perpetuals that are traded; an account holds these or spot."""
        return any(":" in data.symbol for data in self._datas)

    @property
    def bars_seen(self) -> int:
        """How many bars all feeds have delivered."""
        return sum(len(data) for data in self._datas)

    @property
    def shortest_ms(self) -> int:
        """Length of the shortest bars, in milliseconds."""
        return min(data.step_ms for data in self._datas)

    def traded(self, symbol: str) -> CCXTData:
        """The feed of the shortest bars of a symbol, which holds its position and takes its orders."""
        return min((data for data in self._datas if data.symbol == symbol), key=lambda data: data.step_ms)

    @property
    def markets(self) -> Collection[Market]:
        """The bar lengths that are traded; none before Backtrader has started."""
        return self._markets.values()

    def market_of(self, data: CCXTData) -> Market:
        return self._markets[str(data.bar_length)]

    def is_newest(self, data: CCXTData, bar: Bar) -> bool:
        """Whether no later bar of its symbol is known, neither waiting nor about to be put."""
        market = self.market_of(data)
        return market.barrier.waiting(data.symbol) == 0 and bar.at >= market.source.known(data.symbol)

    def past_of(self, data: CCXTData) -> list[Bar]:
        """The history a feed begins with; all feeds of one bar length end theirs at the same bar."""
        market = self.market_of(data)
        joined = market.joined if market.joined is not None else market.begin(int(self.clock.now().timestamp() * 1000))
        given = market.known_past(data)
        since = market.first_wanted(data, given)
        past = given + self.loop.call(market.source.history(data.symbol, since, joined))
        if market.merge is not None and not data.p.historical:
            self._learn_venues(market, data.symbol, past, joined)
        market.past_is(data.symbol, past)
        if not past or past[-1].at < joined - market.step:
            market.warn_if_silent(data.symbol, self.loop.call(market.source.history(data.symbol, joined - RECENT * market.step, joined)))
        return past

    def _learn_venues(self, market: Market, symbol: str, past: list[Bar], joined: int) -> None:
        """Have the venues judged in the history, so that what is usual between them is known at the first live bar."""
        assert market.merge is not None
        first = joined - self._confirmation.confirm_window * market.step
        enough = past if past and past[0].at <= first else self.loop.call(market.source.history(symbol, first, joined))
        for signal in self.loop.call(market.merge.learn(symbol, enough)):
            self.on_signal(symbol, signal)

    def wait_for_bar(self, data: CCXTData, timeout_s: float) -> None:
        """Let the owner act, then block until `data` may have a bar, an order event is there, or `timeout_s` seconds have passed.

        The first turn of each feed after a bar does not block, so that broker and owner see the loop at rest once. Raises what ended
        anything in the venue's thread.
        """
        self.loop.require_whole()
        if self._turns_at_rest:
            self._turns_at_rest -= 1
            return
        for each in self._datas:
            source: object = context_of(each).source
            if isinstance(source, IncrementalSource):
                source.prepare()
        if self.on_idle is not None:
            self.on_idle()
        barrier = self.market_of(data).barrier
        with self.wake:
            if not self.events and not barrier.ready(data.symbol) and not self.is_stopping:
                self.wake.wait(timeout_s)

    def bar_taken(self) -> None:
        """A feed took a bar."""
        self._turns_at_rest = len(self._datas)

    def data_ready(self, data: CCXTData) -> None:
        """Begin to deliver live bars once every feed of this bar length has its history."""
        market = self.market_of(data)
        market.source.resume(data.symbol, market.past_end(data.symbol))
        market.waiting_for.discard(data.symbol)
        if not market.waiting_for and not data.p.historical:
            self.loop.spawn(market.source.run())
            if market.merge is not None:
                self.loop.spawn(market.merge.run())

    async def _compare_venues(self, market: Market) -> None:
        market.on_signal = lambda symbol, bar: self.on_signal(symbol, bar)
        market.merge = LiveMerge(
            self.exchange, self._witnesses, market.source.symbols, market.timeframe, clock=self.clock, settings=self._confirmation,
            notify=self._on_merge_event, listener=market, state=self.judged_state,
        )  # fmt: skip
        await market.merge.connect()

    def _on_merge_event(self, kind: str, level: str, **facts: object) -> None:
        self.put_notification(kind.replace("_", " "), facts)
        if self.on_merge_event is not None:
            self.on_merge_event(kind, level, **facts)

    def entry_objection(self, symbol: str, at: int | None = None) -> str:
        """Why no position in `symbol` should be entered now: other venues disagree about its price, or a decision about it would lack
        something that failed; "" for no reason.

        Args:
            at: open time (ms UTC) of the bar that is decided on; None for the newest one.
        """
        if reason := self.unsafe.get(symbol) or self.unsafe.get(""):
            return reason
        merges = [market.merge for market in self._markets.values() if market.merge is not None and symbol in market.source.symbols]
        return next((reason for merge in merges if (reason := merge.objection(symbol, at))), "")

    def caught_up(self, at: int) -> bool:
        """Whether every bar that opened by `at` was delivered to the feeds, or is known not to exist."""
        # In this order: a bar that is put between the two is found waiting.
        return self._has_bars(at) and all(market.barrier.is_empty for market in self._markets.values())

    def _has_bars(self, at: int) -> bool:
        """Whether every bar that opened by `at` was put before the feeds, or is known not to exist."""
        end = at + self.shortest_ms
        last = {market: end - end % market.step - market.step for market in self._markets.values()}  # of longer bars those that have closed
        return all(market.has(s, due) for market, due in last.items() for s in market.source.symbols)

    @property
    def waits_for_market(self) -> bool:
        """Whether the broker keeps an order back until the market reaches its price."""
        return self.broker is not None and self.broker.contingent.waits_for_market

    @property
    def newest(self) -> int:
        """Open time of the newest bar that was put before the feeds."""
        return max((market.newest(s) for market in self._markets.values() for s in market.source.symbols), default=-1)

    @property
    def first_live(self) -> int:
        """Open time of the first bar that was awaited live."""
        return min(market.joined or 0 for market in self._markets.values())

    def notify(self, event: AccountEvent) -> None:
        """Queue an order event for the broker."""
        with self.wake:
            self.events.append(event)
            self.arrivals.note(event)
            self.wake.notify_all()

    def last_price(self, symbol: str) -> float | None:
        """The price of the running bar, else the close of the newest one."""
        return self.prices.get(symbol, self._closes.get(symbol))

    def handle_price(self, symbol: str, price: float) -> None:
        self.prices[symbol] = price

    def handle_bar(self, symbol: str, bar: Bar) -> None:
        self._closes[symbol] = bar.close
        if self.on_bar is not None:
            self.on_bar(symbol, bar)

    def handle_connection(self, alive: bool, reason: str) -> None:
        self.is_connected = alive
        log.event(_LOG, "market_connection", alive=alive, reason=reason)
        self.put_notification("connected" if alive else "connection broken", reason)
        with self.wake:
            self.wake.notify_all()

    def _can_short(self, symbol: str) -> bool:
        return any(m.source.rules(symbol).can_short for m in self._markets.values() if symbol in m.source.symbols)

    def _market(self, timeframe: Timeframe, symbols: list[str]) -> Market:
        assert self.client is not None
        barrier = BarBarrier(
            symbols, self.wake, step_ms=timeframe.seconds * 1000, bar_timeout_s=self._bar_timeout_s, monotonic=self.loop.monotonic
        )
        return Market(self.client, timeframe, barrier, self, self.clock, self._poll, self.loop.fail)

    def _open_account(self, broker: CCXTBroker) -> None:
        symbols = list(dict.fromkeys(data.symbol for data in self._datas))
        path = Path(tempfile.gettempdir()) / f"{self.exchange}-{self.run}-{datetime.now(UTC):%Y%m%d%H%M%S%f}.db"
        journal = self._journal or Journal(path)
        client = self.loop.open_client(
            self.exchange, linear=self.is_linear, keys=self._keys, base_url=self._base_url, ws_url=self._ws_url
        )  # fmt: skip
        assert self.client is not None
        client.set_markets_from_exchange(self.client)  # which has loaded them: a slow venue is not asked for all of them twice
        self.account = self._account_on(client, journal, symbols)
        self.loop.call(self.account.connect())
        if self.is_linear:
            self.loop.call(self.account.prepare_positions(self._leverage))
            broker.leverage = float(self._leverage)
        if rebuilt(self.account, self.loop, own_prefixes(self.run, journal.oldest()), self.began, self.recorded, self.notify):
            self.account = self._account_on(client, journal, symbols)  # it knows the journal as it was

    def _account_on(self, client: CcxtClient, journal: Journal, symbols: Sequence[str]) -> CcxtAccount:
        if self.risk_limits is not None:
            self.risk_limits.clear()
        return CcxtAccount(client, journal, symbols, self.notify, self._query_timeouts, self.risk_limits, self.prices.get)
