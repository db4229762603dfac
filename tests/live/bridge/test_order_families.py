"""What a restart does with orders that belong together: one that protects a position is there, and none is executed beside another."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.contingent.families import Decided, KnownIntent, OrderChain, Step, chains_of, decide
from forwardtrader.live.execution.events import NEVER_ARRIVED, REPORTED, Intent
from forwardtrader.live.execution.journal import OPEN, IntentState

SIZE = Decimal(2)
ENTRY = Intent(client_id="entry", request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=SIZE), bar=0)
STOP = Intent(
    client_id="stop", request=OrderRequest(symbol="BTC/USDT", side=Side.SELL, size=SIZE, stop_price=Decimal(90)), bar=0, parent="entry"
)
LIMIT = Intent(
    client_id="limit", request=OrderRequest(symbol="BTC/USDT", side=Side.SELL, size=SIZE, limit_price=Decimal(110)), bar=0, parent="entry"
)
HELD, SENT, RESTS, GONE, REFUSED = (
    IntentState.HELD, IntentState.SENT, IntentState.ACKNOWLEDGED, IntentState.DONE, IntentState.REFUSED,
)  # fmt: skip
HEARD = f"{REPORTED}canceled"


def known(intent: Intent, state: IntentState, executed: str = "0", note: str = "") -> KnownIntent:
    return KnownIntent(intent=intent, state=state, note=note, executed=Decimal(executed), delivered=Decimal(executed) * Decimal("0.999"))


def lost(intent: Intent) -> KnownIntent:
    return known(intent, REFUSED, note=NEVER_ARRIVED)


def steps(*found: KnownIntent) -> dict[str, tuple[str, str]]:
    decided = decide(chains_of(found), can_short=False)
    return {d.chain.first.client_id: (str(d.step), "" if d.size is None else str(d.size)) for d in decided}


@pytest.mark.parametrize(
    ("entry", "stop", "limit", "expected"),
    [
        (known(ENTRY, RESTS), known(STOP, HELD), known(LIMIT, HELD), ("stay ", "stay ")),
        (known(ENTRY, RESTS, "1"), known(STOP, HELD), known(LIMIT, HELD), ("send 0.999", "stay 0.999")),
        (known(ENTRY, RESTS, "1"), known(STOP, RESTS), known(LIMIT, HELD), ("stay 0.999", "stay 0.999")),
        (known(ENTRY, GONE, "2"), known(STOP, HELD), known(LIMIT, HELD), ("send 1.998", "stay 1.998")),
        (known(ENTRY, GONE, "1"), known(STOP, HELD), known(LIMIT, HELD), ("send 0.999", "stay 0.999")),
        (known(ENTRY, GONE), known(STOP, HELD), known(LIMIT, HELD), ("drop ", "drop ")),
        (lost(ENTRY), known(STOP, HELD), known(LIMIT, HELD), ("drop ", "drop ")),
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, HELD), ("stay ", "stay ")),
        (known(ENTRY, GONE, "2"), lost(STOP), known(LIMIT, HELD), ("send ", "stay ")),
        (known(ENTRY, GONE, "2"), known(STOP, HELD), lost(LIMIT), ("send ", "stay ")),
        (known(ENTRY, GONE, "2"), known(STOP, HELD), known(LIMIT, RESTS), ("stay ", "stay ")),
        (known(ENTRY, GONE, "2"), known(STOP, GONE, "2"), known(LIMIT, HELD), ("", "drop ")),
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, GONE, "2"), ("cancel ", "")),
        (known(ENTRY, GONE, "2"), known(STOP, GONE), known(LIMIT, HELD), ("", "drop ")),  # taken back by the strategy
        (known(ENTRY, GONE, "2"), known(STOP, GONE, note=HEARD), known(LIMIT, HELD), ("", "drop ")),
        (known(ENTRY, GONE, "2"), known(STOP, REFUSED, note=HEARD), known(LIMIT, HELD), ("", "send 1.998")),
        (known(ENTRY, GONE, "2"), known(STOP, REFUSED, note="too large"), known(LIMIT, HELD), ("send ", "stay ")),
        (known(ENTRY, GONE, "2"), known(STOP, GONE, note="canceled"), known(LIMIT, HELD), ("send ", "stay ")),  # by somebody else
        (known(ENTRY, GONE, "2"), known(STOP, GONE, "1", note="expired"), known(LIMIT, HELD), ("send 0.998", "stay 0.998")),
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, GONE, note="canceled"), ("stay ", "")),
        (known(ENTRY, GONE, "2"), known(STOP, HELD), known(LIMIT, GONE, "1", note="canceled"), ("send 0.998", "")),
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, GONE, note=HEARD), ("stay ", "")),  # the run kept the stop: so do we
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, GONE, "1", note=HEARD), ("stay ", "")),
        (known(ENTRY, GONE, "2"), known(STOP, HELD), known(LIMIT, GONE, "1", note=HEARD), ("send 0.998", "")),
        (known(ENTRY, GONE, "2"), known(STOP, RESTS), known(LIMIT, GONE, note=f"{REPORTED}to be cancelled"), ("cancel ", "")),
    ],
)  # fmt: skip
def test_every_state_of_a_bracket_has_its_step(
    entry: KnownIntent, stop: KnownIntent, limit: KnownIntent, expected: tuple[str, str]
) -> None:
    found = steps(entry, stop, limit)
    for name, step in zip(("stop", "limit"), expected, strict=True):
        assert " ".join(found.get(name, ())).startswith(step), name
        assert bool(step) == (name in found), name


def test_a_stop_that_made_room_goes_on_under_its_new_name() -> None:
    again = replace(STOP, client_id="again", replaces="stop")
    entry = known(ENTRY, GONE, "2")
    assert steps(entry, known(STOP, RESTS), known(LIMIT, HELD), known(again, HELD))["stop"][0] == "stay"
    assert chains_of([known(STOP, RESTS), known(again, HELD)])[0].superfluous == ["again"]
    assert steps(entry, known(STOP, GONE), known(LIMIT, HELD), known(again, HELD)) == {
        "stop": ("send", "1.998"),
        "limit": ("stay", "1.998"),
    }
    assert steps(entry, known(STOP, GONE), known(LIMIT, RESTS), known(again, HELD))["stop"][0] == "stay"
    part = steps(entry, known(STOP, GONE, "0.5"), known(LIMIT, HELD), known(again, HELD))
    assert part["stop"] == ("send", "1.498")


def test_a_stop_that_was_executed_for_a_part_ends_the_entry_and_sells_what_that_brought_beyond() -> None:
    planned = known(STOP, IntentState.DROPPED)
    part = replace(STOP, client_id="part", request=replace(STOP.request, size=Decimal(1)), replaces="stop")
    entry, limit = known(ENTRY, RESTS, "1.5"), known(LIMIT, HELD)
    assert steps(entry, planned, limit, known(part, RESTS))["stop"] == ("stay", "1.4985")
    found = steps(entry, planned, limit, known(part, GONE, "1"))
    assert (found["entry"][0], found["stop"], found["limit"][0]) == ("cancel", ("send", "0.4985"), "stay")
    over = steps(known(ENTRY, GONE, "1.5"), planned, limit, known(part, GONE, "1"))
    assert (over["stop"], over["limit"][0]) == (("send", "0.4985"), "stay"), "the end of the limit would take back what sells the rest"
    assert "stop" not in steps(known(ENTRY, GONE, "1"), planned, known(part, GONE, "1"))
    taken_back = steps(known(ENTRY, GONE, "1.5"), planned, known(part, GONE, "0.5"))
    assert "stop" not in taken_back, "it was cancelled by the strategy"


def test_a_stop_of_a_pair_is_sent_for_what_its_limit_has_not_sold() -> None:
    stop, limit = replace(STOP, parent=""), replace(LIMIT, parent="", group="stop")
    again = replace(limit, client_id="again", replaces="limit", request=replace(limit.request, size=Decimal("1.5")))
    found = steps(known(stop, HELD), known(limit, GONE, "0.5"), known(again, HELD))
    assert found == {"stop": ("send", "1.5"), "limit": ("stay", "1.5")}
    assert steps(known(stop, HELD), known(limit, RESTS, "0.5")) == {"stop": ("stay", "1.5"), "limit": ("stay", "1.5")}
    assert steps(known(stop, HELD), known(limit, RESTS, "2"))["stop"][0] == "drop"


def test_an_entry_that_never_arrived_is_not_made_up_for() -> None:
    pair = [replace(ENTRY, client_id="a"), replace(ENTRY, client_id="b", group="a")]
    assert steps(lost(pair[0]), lost(pair[1])) == {"a": ("drop", ""), "b": ("drop", "")}
    assert steps(lost(ENTRY)) == {"entry": ("drop", "")}
    assert steps(known(ENTRY, RESTS)) == {"entry": ("stay", "")}


STATES = st.sampled_from([*OPEN, HELD, GONE, REFUSED, IntentState.DROPPED])


@st.composite
def families(draw: st.DrawFn) -> list[KnownIntent]:
    """Any state of a bracket or an OCO pair, also ones that should never be."""
    is_bracket = draw(st.booleans())
    entry = known(ENTRY, draw(st.sampled_from([RESTS, GONE, REFUSED])), str(draw(st.integers(0, 2))))
    members = [STOP, LIMIT] if is_bracket else [replace(STOP, parent=""), replace(LIMIT, parent="", group="stop")]
    found = [entry] if is_bracket else []
    for intent in members:
        for number in range(draw(st.integers(1, 3))):
            name = f"{intent.client_id}{number or ''}"
            this = replace(intent, client_id=name, replaces=f"{intent.client_id}{number - 1 or ''}" if number else "")
            note = draw(st.sampled_from(["", NEVER_ARRIVED]))
            found.append(known(this, draw(STATES), draw(st.sampled_from(["0", "0", "1", "2"])), note))
    return found


def at_venue(decided: list[Decided]) -> list[OrderChain]:
    """The orders at the venue once the steps are done."""
    return [d.chain for d in decided if d.step is Step.SEND or (d.chain.rests and d.step is not Step.CANCEL)]


@given(found=families())
def test_at_most_one_order_of_a_family_locks_the_coins_and_a_position_is_not_left_without(found: list[KnownIntent]) -> None:
    chains = chains_of(found)
    decided = decide(chains, can_short=False)
    sells = [chain for chain in at_venue(decided) if chain.first.request.side is Side.SELL]
    rested = sum(chain.rests for chain in chains if chain.first.request.side is Side.SELL)
    assert len(sells) <= max(1, rested), "a second one is sent beside one that rests"
    ended = any(
        not c.is_alive and (c.executed or c.current.state in (GONE, IntentState.DROPPED))
        for c in chains
        if c.first.request.side is Side.SELL
    )
    wanted = [d for d in decided if d.step in (Step.STAY, Step.SEND) and d.is_active and d.chain.first.request.side is Side.SELL]
    if wanted and not ended:
        assert sells, "orders wait, and nothing is at the venue"
    for each in decided:
        assert each.size is None or each.size > 0
        family = [chain for chain in chains if chain.first.request.side is Side.SELL]
        assert each.size is None or each.chain not in family or each.size + sum(chain.executed for chain in family) <= SIZE
        assert each.step is not Step.SEND or not each.chain.rests, "sent a second time"
