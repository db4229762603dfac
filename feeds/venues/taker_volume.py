"""Taker volume and number of trades in the candles of ccxt, which drops them: of venues whose candles carry them, as Binance's."""

from __future__ import annotations

from typing import Any, Final

_TRADES: Final = 8  # places in Binance's row
_TAKER_BUYS: Final = 9
_ROW: Final = 11


def counts_takers(venue: str) -> bool:
    """Whether candles of the venue carry the volume that takers bought, and the number of trades."""
    return venue.startswith("binance")


def with_takers(base: Any) -> Any:
    """A subclass of one of ccxt's exchanges whose candles have two more columns: base units that takers bought, and number of trades."""
    if not counts_takers(base.__name__):
        return base

    class WithTakers(base):  # type: ignore[misc]
        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            row: list[Any] = super().parse_ohlcv(ohlcv, market)
            if isinstance(ohlcv, list) and len(ohlcv) >= _ROW:
                return [*row, self.safe_number(ohlcv, _TAKER_BUYS), self.safe_number(ohlcv, _TRADES)]
            return [*row, None, None]

    WithTakers.__name__ = base.__name__
    return WithTakers
