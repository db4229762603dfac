"""Before the first real order: what the key may do, what the account holds, what the venue demands, and a word typed by a person."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from core.environment import environment
from core.errors import ConfigError
from live.account_events import VenueView
from live.doctor import require_no_withdrawals
from live.funds import require_enough

ALLOW_WITHDRAWAL = "LIVE_ALLOW_WITHDRAWAL_KEY"


def account_name(exchange: str, api_key: str) -> str:
    """Names an account for its lock, without giving its key away."""
    return f"{exchange}-{hashlib.sha256(api_key.encode()).hexdigest()[:12]}"


def require_consent(
    bridge: Any, symbols: tuple[str, ...], times_said: int, console: Console, ask: Callable[[str], str] = input, *,
    prices: Mapping[str, float], practice: bool = False,
) -> None:  # fmt: skip
    """Show account, rules and limits, and have the first symbol typed; `--yes-real-money` given twice stands for that.

    Args:
        prices: the newest close of each symbol, by which the smallest order is worth so much.
        practice: the account is one of the practice exchange; nobody has to mean that.

    Raises:
        AccountTooSmall: the money does not suffice for the smallest order of any symbol.
        ConfigError: the key may withdraw, or something else was typed.
    """
    view: VenueView = bridge.loop.call(bridge.account.read())
    if environment().get(ALLOW_WITHDRAWAL) != "1":
        require_no_withdrawals(bridge.loop.call(bridge.account.may_withdraw()))
    rules = [bridge.rules(symbol) for symbol in symbols]
    require_enough(view.balances, rules, prices, "deposit some first")
    console.print("[bold]PRACTICE MONEY[/bold]" if practice else "[bold]REAL MONEY[/bold]")
    for asset, amount in sorted(view.balances.items()):
        console.print(f"  {amount} {asset}")
    for r in rules:
        console.print(f"  {r.symbol}: tick {r.tick}, step {r.step}, smallest order {r.min_notional} {r.quote}")
    console.print(f"  {len(view.open_orders)} orders rest at the venue; those of others are left alone")
    if practice or times_said >= 2:
        return
    typed = ask(f"type {symbols[0]} to trade with this account: ").strip()
    if typed != symbols[0]:
        raise ConfigError(f"{typed!r} is not {symbols[0]}: no order was sent; start again and type the symbol")
