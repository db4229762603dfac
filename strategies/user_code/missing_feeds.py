"""A strategy that asks for a feed it does not have is told which ones there are, and how to add one."""

from __future__ import annotations

import re
from typing import Any, Final, SupportsIndex

import backtrader as bt

from forwardtrader.core.errors import InvalidSetting

_FEED: Final = re.compile(r"data(\d+)(_\w+)?")


class MissingFeed(InvalidSetting, AttributeError, IndexError):
    """A strategy uses `self.data1` or `self.datas[1]` and has one feed only.

    It is what Python raises in these places too, so that `hasattr(self, "data1")` still works.
    """


class Feeds(list[Any]):
    """The feeds of a strategy."""

    def __init__(self, feeds: list[Any], owner: str) -> None:
        super().__init__(feeds)
        self._owner = owner

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        try:
            return super().__getitem__(key)
        except IndexError as error:
            raise self.missing(f"self.datas[{key}]") from error

    def missing(self, asked: str) -> MissingFeed:
        """The error for a feed that is not there."""
        names = ", ".join(str(getattr(feed, "_name", "")) or f"feed {number}" for number, feed in enumerate(self))
        return MissingFeed(
            f"{self._owner} asks for {asked}, and there {'are' if len(self) > 1 else 'is'} only {names}; "
            "add --resample with a length for longer bars of the same symbol, or one more --symbol"
        )


def naming_feeds(strategy: type[bt.Strategy]) -> type[bt.Strategy]:
    """A subclass that raises `MissingFeed` for a feed that it does not have."""

    class NamingFeeds(strategy):
        datas: list[Any]

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.datas = Feeds(self.datas, strategy.__name__)
            super().__init__(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            feeds = self.__dict__.get("datas")
            if isinstance(feeds, Feeds) and _FEED.fullmatch(name):
                raise feeds.missing(f"self.{name}")
            return super().__getattr__(name)

    NamingFeeds.__name__, NamingFeeds.__qualname__, NamingFeeds.__module__ = strategy.__name__, strategy.__qualname__, strategy.__module__
    NamingFeeds.__doc__ = strategy.__doc__
    return NamingFeeds
