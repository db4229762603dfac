"""Whether the symbols of a session can be traded at all, before anything is loaded for them."""

from __future__ import annotations

from forwardtrader.feeds.venues.contracts import refuse_unusual, require_one_account, settle_currency
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.venue.perpetuals import require_traded


def require_tradable(request: LiveRequest) -> None:
    """Refuse symbols that no account here trades, or not together, and perpetuals of a venue whose accounts are not known.

    Raises:
        UnknownSymbol, ConfigError: the line that says which, and what to take instead.
    """
    for symbol in request.symbols:
        refuse_unusual(symbol)
    require_one_account(request.symbols)
    if request.mode == "live" and not request.sandbox and any(settle_currency(symbol) for symbol in request.symbols):
        require_traded(request.settings.feeds.exchange)
