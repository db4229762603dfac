"""What Binance's wallet API, under `/sapi/v1/`, can be asked: the rights of the key."""

from __future__ import annotations

from typing import Any

from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance.handlers import BinanceAction
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.venue import SandboxVenue


def wallet_actions(venue: SandboxVenue) -> dict[tuple[str, str], BinanceAction]:
    """Method and path to action."""

    def restrictions(params: Params) -> Any:
        params.finish()
        right = venue.settings.withdrawals
        if right == "unanswered":
            raise errors.BAD_KEY  # as for a key that may trade and not read what it may do
        return {
            "ipRestrict": False, "createTime": 0, "enableReading": True, "enableSpotAndMarginTrading": True,
            "enableWithdrawals": right == "yes", "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
            "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    return {("GET", "account/apiRestrictions"): BinanceAction(restrictions, 1, "account", signed=True)}
