"""Request handlers of Binance's wallet API under `/sapi/v1/`: the permissions of the API key."""

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
            raise errors.BAD_KEY  # as for a key that may trade but not read its permissions
        return {
            "ipRestrict": False, "createTime": 0, "enableReading": True, "enableSpotAndMarginTrading": True,
            "enableWithdrawals": right == "yes", "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
            "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    return {("GET", "account/apiRestrictions"): BinanceAction(restrictions, 1, "account", signed=True)}
