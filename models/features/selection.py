"""Which features a model gets: chosen by name in `models.features`, and what is made of the factors."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import InvalidSetting, UnknownSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import FEATURES, all_names, warm_up
from forwardtrader.models.features.cross_section import MARKET
from forwardtrader.models.features.factor_features import LONGEST, feature_names
from forwardtrader.models.features.feature_checks import checked
from forwardtrader.models.features.own_features import OwnFeature, chosen_name, defined, short_name
from forwardtrader.models.features.time_series.catalogue import TIME_SERIES

_BUILT_IN = FEATURES | MARKET | TIME_SERIES


def chosen(entries: Iterable[str], factors: Iterable[str], timeframe: Timeframe) -> tuple[str, ...]:
    """The names of the features, in the order of the model's columns.

    Args:
        entries: names of the catalogue, which may hold `*`, and a user's own as `MODULE:NAME`; the whole catalogue where there are none.
        factors: columns that features are made of besides.
        timeframe: of the bars that a user's own features are checked on.

    Raises:
        UnknownSetting: nothing has that name; the message gives the nearest.
        InvalidSetting: two features of one name, or none of such a name in a module.
        FeatureFailed: a user's own breaks the rules of features; the message says which, and how to fix it.
    """
    wanted = tuple(entries)
    if not wanted:
        return all_names(factors)
    names = tuple(dict.fromkeys(name for entry in wanted for name in _names(entry, timeframe)))
    short = [short_name(name) for name in names]
    twice = next((name for n, name in enumerate(short) if name in short[:n] or (name in _BUILT_IN and name not in names)), None)
    if twice:
        raise InvalidSetting(f"models.features: two features are called {twice}; rename one of them")
    return (*names, *feature_names(factors))


def look_back(entries: Iterable[str], timeframe: Timeframe) -> int:
    """Bars that the chosen features look back over, with those of any factors. Raises as `chosen`."""
    return max(LONGEST, warm_up(chosen(entries, (), timeframe)))


def own_of(entries: Iterable[str]) -> list[OwnFeature]:
    """The user's own among them, not checked. Raises as `chosen`."""
    return [own for entry in entries if not _built_in(entry) for own in _defined(entry)]


def _names(entry: str, timeframe: Timeframe) -> list[str]:
    return _built_in(entry) or [chosen_name(checked(own, timeframe)) for own in _defined(entry)]


def _built_in(entry: str) -> list[str]:
    """Those of the catalogue, or else those of the market and of time-series analysis: `*` means the former alone."""
    return [name for name in FEATURES if fnmatchcase(name, entry)] or [name for name in MARKET | TIME_SERIES if fnmatchcase(name, entry)]


def _defined(entry: str) -> list[OwnFeature]:
    own = defined(entry)
    if not own:
        raise UnknownSetting(
            f"models.features: there is no feature {entry!r}{nearest(entry, _BUILT_IN)}; one of your own is named with its file, "
            f"as in my_features.py:{entry}"
        )
    return own
