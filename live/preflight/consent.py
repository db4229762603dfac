"""Before the first real order: what the key may do, what the account holds, what the venue demands, and a word typed by a person."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.execution.events import VenueView
from forwardtrader.live.execution.withdrawals import WithdrawalRight, require_no_withdrawals
from forwardtrader.live.preflight.funds import require_enough


def account_name(exchange: str, api_key: str) -> str:
    """Names an account for its lock, without giving its key away."""
    return f"{exchange}-{hashlib.sha256(api_key.encode()).hexdigest()[:12]}"


def require_consent(
    bridge: Any, symbols: tuple[str, ...], times_said: int, console: Console, ask: Callable[[str], str] = input, *,
    prices: Mapping[str, float], practice: bool = False,
) -> None:  # fmt: skip
    """Show account, rules and rights, and have the first symbol typed; `--yes-real-money` given twice stands for that.

    Where it is not known whether the key may withdraw, the question says so.

    Args:
        prices: the newest close of each symbol, by which the smallest order is worth so much.
        practice: the account is one of the practice exchange; nobody has to mean that.

    Raises:
        AccountTooSmall: the money does not suffice for the smallest order of any symbol.
        ConfigError: the key may withdraw, or something else was typed.
    """
    view: VenueView = bridge.loop.call(bridge.account.read())
    right: WithdrawalRight = bridge.loop.call(bridge.account.withdrawal_right())
    require_no_withdrawals(right)
    rules = [bridge.rules(symbol) for symbol in symbols]
    require_enough(view.balances, rules, prices, "deposit some first")
    console.print("[bold]PRACTICE MONEY[/bold]" if practice else "[bold]REAL MONEY[/bold]")
    for asset, amount in sorted(view.balances.items()):
        console.print(f"  {amount} {asset}")
    for r in rules:
        console.print(f"  {r.symbol}: tick {r.tick}, step {r.step}, smallest order {r.min_notional} {r.quote}")
    console.print(f"  {len(view.open_orders)} orders rest at the venue; those of others are left alone")
    console.print(f"  right to withdraw: {right.text}", soft_wrap=True)
    if practice or times_said >= 2:
        return
    sure = "make sure that this key may not withdraw, then " if right.may is None else ""
    typed = ask(f"{sure}type {symbols[0]} to trade with this account: ").strip()
    if typed != symbols[0]:
        raise ConfigError(f"{typed!r} is not {symbols[0]}: no order was sent; start again and type the symbol")
