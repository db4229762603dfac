"""Request handlers of Binance's wallet API under `/sapi/v1/`: the permissions of the API key."""

from __future__ import annotations

from typing import Any

from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance.handlers import BinanceAction
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.faults.request_faults import STATUS, RequestFaults
from forwardtrader.sandbox.venue import SandboxVenue


def wallet_actions(venue: SandboxVenue, faults: RequestFaults) -> dict[tuple[str, str], BinanceAction]:
    """Method and path to action."""

    def restrictions(params: Params) -> Any:
        params.finish()
        right = venue.rights.withdrawals
        if right == "unanswered":
            raise errors.BAD_KEY  # as for a key that may trade but not read its permissions
        return {
            "ipRestrict": False, "createTime": 0, "enableReading": True, "enableSpotAndMarginTrading": venue.rights.trading,
            "enableWithdrawals": right == "yes", "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
            "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
        }  # fmt: skip

    def status(params: Params) -> Any:
        return {"status": 1, "msg": "system_maintenance"} if faults.is_in_maintenance() else {"status": 0, "msg": "normal"}

    return {
        ("GET", "system/status"): BinanceAction(status, 1, STATUS),
        ("GET", "account/apiRestrictions"): BinanceAction(restrictions, 1, "account", signed=True),
    }
