"""Consent before the first real order: rights of the key, balances and rules of the venue are shown, and a person confirms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.events import VenueView
from forwardtrader.live.preflight.funds import require_enough
from forwardtrader.live.venue.identity import AccountIdentity
from forwardtrader.live.venue.withdrawals import WithdrawalRight, require_no_withdrawals


def require_consent(
    bridge: CCXTStore, symbols: tuple[str, ...], confirmed: int, console: Console, ask: Callable[[str], str] = input, *,
    account: AccountIdentity, prices: Mapping[str, float], practice: bool = False,
) -> None:  # fmt: skip
    """Show account, rules and rights, and ask for the first symbol to be typed; `--yes-real-money` given twice skips the question.

    Where it is unknown whether the key may withdraw, the question says so.

    Args:
        account: whose orders they are; venue, host and fingerprint of the key are shown.
        confirmed: how often `--yes-real-money` was given.
        prices: the newest close of each symbol, in quote units.
        practice: whether it is an account of the practice exchange, which needs no confirmation.

    Raises:
        AccountTooSmall: the balance does not pay for the smallest order of any symbol.
        ConfigError: the key may withdraw, or something else was typed.
    """
    assert bridge.account is not None
    view: VenueView = bridge.loop.call(bridge.account.read())
    right: WithdrawalRight = bridge.loop.call(bridge.account.withdrawal_right())
    require_no_withdrawals(right)
    rules = [bridge.rules(symbol) for symbol in symbols]
    require_enough(view.balances, rules, prices, "deposit some first")
    console.print("[bold]PRACTICE MONEY[/bold]" if practice else "[bold]REAL MONEY[/bold]")
    console.print(f"  {account.text}", soft_wrap=True)
    for asset, amount in sorted(view.balances.items()):
        console.print(f"  {amount} {asset}")
    for r in rules:
        console.print(f"  {r.symbol}: tick {r.tick}, step {r.step}, smallest order {r.min_notional} {r.quote}")
    console.print(f"  {len(view.open_orders)} orders rest at the venue; those of others are left alone")
    console.print(f"  right to withdraw: {right.text}", soft_wrap=True)
    if practice or confirmed >= 2:
        return
    sure = "make sure that this key may not withdraw, then " if right.may is None else ""
    typed = ask(f"{sure}type {symbols[0]} to trade with this account: ").strip()
    if typed != symbols[0]:
        raise ConfigError(f"{typed!r} is not {symbols[0]}: no order was sent; start again and type the symbol")
