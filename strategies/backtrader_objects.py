"""Backtrader's objects as far as they are used here: Backtrader has no types of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class BtLine(Protocol):
    """A line of numbers; index 0 is the newest one, -1 the one before."""

    def __getitem__(self, ago: int) -> float: ...

    def __len__(self) -> int: ...


class BtData(Protocol):
    """A feed: one line a column, and the number of bars so far as its length."""

    _name: str

    @property
    def open(self) -> BtLine: ...

    @property
    def high(self) -> BtLine: ...

    @property
    def low(self) -> BtLine: ...

    @property
    def close(self) -> BtLine: ...

    @property
    def volume(self) -> BtLine: ...

    @property
    def datetime(self) -> BtLine: ...

    def __len__(self) -> int: ...

    def __hash__(self) -> int: ...


class BtOrderData(Protocol):
    """What was asked for (`order.created`) or done so far (`order.executed`); sizes are signed, `remsize` is still to be done."""

    size: float
    remsize: float
    price: float
    comm: float
    pricelimit: float | None
    psize: float
    dt: float

    def iterpending(self) -> Iterable[Any]: ...


class BtOrder(Protocol):
    """An order; `info` holds what its sender gave with it, such as `reason` and `role`."""

    ref: int
    exectype: int
    status: int
    size: float
    data: BtData
    created: BtOrderData
    executed: BtOrderData

    @property
    def info(self) -> Mapping[str, Any]: ...

    @property
    def parent(self) -> BtOrder | None: ...

    def alive(self) -> bool: ...

    def active(self) -> bool: ...

    def isbuy(self) -> bool: ...

    def issell(self) -> bool: ...

    def addinfo(self, **info: object) -> None: ...

    def getordername(self) -> str: ...
