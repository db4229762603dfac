"""The context of a feed is found where it was attached, and its absence is an error with a remedy."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.feed_context import FeedContext, attach, context_of
from tests.strategies.market import BTC, HOUR


def test_what_was_attached_is_found() -> None:
    data, context = SimpleNamespace(), FeedContext(BTC, HOUR)
    attach(data, context)
    assert context_of(data) is context


@pytest.mark.parametrize("data", [SimpleNamespace(_name="BTC/USDT"), SimpleNamespace(_name="BTC/USDT", context=object())])
def test_a_feed_without_context_is_named_with_the_remedy(data: SimpleNamespace) -> None:
    with pytest.raises(InvalidSetting, match=r"BTC/USDT carries no market rules.*attach"):
        context_of(data)
