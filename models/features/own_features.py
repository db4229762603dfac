"""Features of a user's own: plain functions of bars, marked with `@feature`, chosen by name in `models.features`.

A chosen one is called `name@fingerprint` wherever names of features are kept, as in a model's card: the fingerprint is that of its code
(`core.user_code.code_fingerprint`), so a model of other code is another model, and none is served with code that it was not trained with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import FeatureFailed, FingerprintMismatch, InvalidSetting, TradingError
from forwardtrader.core.user_code.code_fingerprint import source_fingerprint
from forwardtrader.core.user_code.errors import described
from forwardtrader.core.user_code.modules import user_module
from forwardtrader.core.user_code.process_state import process_state_kept
from forwardtrader.models.features.asset_panel import AssetPanel
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.rolling import Series

Function = TypeVar("Function", bound=Callable[..., Any])
MOST_BARS: Final = 100_000
_SIGN: Final = "@"


@dataclass(frozen=True)
class OwnFeature:
    """A function that a user marked with `@feature`, and where it stands."""

    name: str
    warm_up: int
    function: Callable[..., Any]
    cross_asset: bool = False

    @property
    def label(self) -> str:
        """How messages name it: `feature squeeze (my_features.py:12)`."""
        code = self.function.__code__
        return f"feature {self.name} ({Path(code.co_filename).name}:{code.co_firstlineno})"

    def compute(self, bars: Bars) -> Series:
        """The function's values, float64 [T], NaN while it warms up. It is given bars of its own: what it does to them changes nothing.

        Raises:
            FeatureFailed: it raised an exception, or did not give one number a bar.
        """
        panel = AssetPanel(bars)
        values = self.called(bars.copied(), panel)
        if values.shape != bars.close.shape:
            shape = f"shape {values.shape}" if values.shape else "a single value, or none"
            hint = " (align brings a series of longer bars back)" if values.ndim == 1 else ""
            raise FeatureFailed(f"{self.label} must return one number for each bar, shape {bars.close.shape}; it returned {shape}{hint}")
        if panel.missing.any():
            lacking = np.cumsum(panel.missing)
            is_near = lacking > np.append(np.zeros(self.warm_up, lacking.dtype), lacking)[: len(lacking)]  # within the last `warm_up` bars
            values[is_near & ~np.isfinite(values)] = 0.0
        values[: self.warm_up - 1] = np.nan
        return values

    def called(self, bars: Bars, panel: AssetPanel) -> Series:
        """What the function makes of these very bars, as float64. Raises FeatureFailed where it raised an exception."""
        if self.cross_asset and not len(panel):
            raise FeatureFailed(f"{self.label} looks at other symbols, whose bars are not at hand here")
        try:
            with process_state_kept(), np.errstate(all="ignore"):  # what is no number is found in the values
                found = np.asarray(self.function(bars, panel) if self.cross_asset else self.function(bars))
                if found.dtype.kind in "cSU":
                    raise FeatureFailed(f"it returns values of type {found.dtype}; return numbers")
                return np.array(found, dtype=np.float64)
        except TradingError as error:
            raise FeatureFailed(f"{self.label}: {error}") from error
        except FrozenInstanceError as error:
            raise FeatureFailed(
                f"{self.label} changes the bars it is given ({described(error)}); work on a copy: bars.close.copy()"
            ) from error
        except (Exception, SystemExit) as error:  # one that ends the process would end it without a word
            raise FeatureFailed(f"{self.label} failed: {described(error)}") from error


_defined: Final[dict[tuple[str, str], OwnFeature]] = {}  # by module and name
_chosen: Final[dict[str, Feature]] = {}


def feature(*, warm_up: int, name: str = "", cross_asset: bool = False) -> Callable[[Function], Function]:
    """Mark a function of bars as a feature, so that `models.features` can name it: `@feature(warm_up=24)`.

    The function is given `Bars` (float64 arrays [T]: open, high, low, close, volume, and what is made of them) and returns one number for
    each bar, float64 [T], roughly centred and of order one. What it says at bar t may depend on bars t - warm_up + 1 .. t and on nothing
    else, to the last bit: `window_mean` and its like do, running sums do not (docs/features.md).

    Args:
        warm_up: bars that the function looks back over, the newest one included.
        name: what the feature is called; the function's name where none is given.
        cross_asset: whether the function takes the bars of all symbols besides, `f(bars, panel)` with `panel["BTC/USDT"]`: rows are those
            of `bars`, NaN where the other symbol has no bar of that time. The feature is 0.0 where that leaves it without a number.

    Raises:
        InvalidSetting: the warm-up is no number of bars, or the name is none.
    """

    def enter(function: Function) -> Function:
        own = OwnFeature(name or getattr(function, "__name__", ""), warm_up, function, cross_asset)
        if not hasattr(function, "__code__") or re.fullmatch(r"[A-Za-z_]\w*", own.name) is None:
            raise InvalidSetting("@feature: it marks a function with a name, made by `def`, or with a name of letters, digits and _")
        if isinstance(warm_up, bool) or not isinstance(warm_up, int) or not 1 <= warm_up <= MOST_BARS:
            raise InvalidSetting(f"{own.label}: warm_up is a whole number of bars from 1 to {MOST_BARS:,}, not {warm_up!r}")
        _defined.pop((function.__module__, own.name), None)
        _defined[function.__module__, own.name] = own
        return function

    return enter


def defined(spec: str) -> list[OwnFeature]:
    """The features that `MODULE:NAME`, `path/to/file.py:NAME` or the name of one defined in this process stands for.

    NAME may hold `*`. What was marked last comes last.

    Raises:
        ConfigError: there is none of that name, or its module cannot be imported; the message says how to fix it.
    """
    place, sign, wanted = spec.rpartition(":")
    given = f"models.features {spec!r}"
    if not sign:
        found = [own for own in _defined.values() if own.name == wanted]
        return found[-1:]
    if not place or not wanted:
        raise InvalidSetting(f"{given}: write it as MODULE:NAME, for example my_features.py:squeeze")
    module = user_module(place, given)
    there = {name: own for (where, name), own in _defined.items() if where == module.__name__}
    there |= {own.name: own for own in _defined.values() if getattr(module, own.name, None) is own.function}  # imported from elsewhere
    matching = [own for name, own in there.items() if fnmatchcase(name, wanted)]
    if not matching:
        is_unmarked = callable(getattr(module, wanted, None))
        how = f"{wanted} is there, but not marked: write @feature(warm_up=...) above it" if is_unmarked else ""
        known = f"there is no feature {wanted}{nearest(wanted, there) or '; it has ' + (', '.join(there) or 'none')}"
        raise InvalidSetting(f"{given}: {how or known}")
    return matching


def chosen_name(own: OwnFeature) -> str:
    """The name it is kept under from now on; `at_hand` knows it."""
    said = f"{own.name}{own.warm_up}{own.cross_asset}{source_fingerprint(own.function)}"
    name = f"{own.name}{_SIGN}{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    _chosen[name] = Feature(name, own.warm_up, own.compute, is_own=True, cross_asset=own.cross_asset)
    return name


def at_hand(name: str) -> Feature:
    """The chosen feature of that name.

    Raises:
        FingerprintMismatch: it was not chosen in this process, or in another version.
    """
    if name in _chosen:
        return _chosen[name]
    short = short_name(name)
    if any(short_name(other) == short for other in _chosen):
        raise FingerprintMismatch(
            f"the model was trained with other code of the feature {short}; put the code back as it was, or train a new model with this one"
        )
    raise FingerprintMismatch(f"the model was trained with the feature {short}, which is not at hand; name it under models.features")


def short_name(name: str) -> str:
    """A feature's name as its user wrote it."""
    return name.partition(_SIGN)[0]
