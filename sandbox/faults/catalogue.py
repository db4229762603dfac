"""Fault injection switches: the catalogue of faults of a real venue, and the board on which they are armed.

A switch fires at its place (an order arrives, a report leaves, a bar ends ...) with `probability`, at most `count` times (0: always),
not before `after_bars` bars have been played. Chance is seeded, so that a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting

Value = float | int | str
COMMON: Final[Mapping[str, Value]] = {"count": 1, "probability": 1.0, "after_bars": 0, "symbol": ""}
LARGEST: Final = 10**9  # of an option
SIGNED: Final = frozenset({"bps", "milliseconds"})
AT_ONCE: Final = "at once"  # fires when armed, or at the end of a bar if it has after_bars or a probability


@dataclass(frozen=True)
class Fault:
    """One fault: its title, the place where it fires, and its options with their defaults."""

    title: str
    place: str
    options: Mapping[str, Value] = field(default_factory=dict)


# `on` names the kind of request: place, cancel, query (of one order), orders (that rest, or all), klines, account, trades, or any.
CATALOGUE: Final[dict[str, Fault]] = {
    "F1": Fault("executed, then answered 504 with status unknown", "after request", {"on": "place"}),
    "F2": Fault("executed, then the connection is reset", "after request", {"on": "place"}),
    "F3": Fault("executed, then no answer for `seconds`", "after request", {"on": "place", "seconds": 30.0}),
    "F4": Fault("not executed; `how`: 503, overloaded or html", "request", {"on": "place", "how": "503"}),
    "F5": Fault("not executed; unknown error", "request", {"on": "place"}),
    "F6": Fault("for `seconds` from the first query on, no order is found", "request", {"on": "query", "seconds": 2.0}),
    "F7": Fault("an execution report comes twice", "report"),
    "F8": Fault("an execution report is lost", "report"),
    "F9": Fault("a report before the reply, or two reports in the wrong order", "report", {"how": "before reply", "seconds": 0.2}),
    "F10": Fault("an execution comes as a burst of `parts`", "execution", {"parts": 5}),
    "F11": Fault("the private socket breaks during a fill, for `seconds`", "report", {"seconds": 1.0}),
    "F12": Fault("the private stream is terminated; `how`: event or shutdown", AT_ONCE, {"how": "event"}),
    "F13": Fault("market sockets are closed cleanly", AT_ONCE),
    "F14": Fault("market sockets are reset", AT_ONCE),
    "F15": Fault("sockets fall silent without closing, for `seconds`; `which`: market, user or all", AT_ONCE,
                 {"seconds": 30.0, "which": "all"}),
    "F16": Fault("a socket handshake is refused with `status`", "handshake", {"status": 429, "retry_after": 1}),
    "F17": Fault("the server is down for `seconds`, then back in the same state", AT_ONCE, {"seconds": 2.0}),
    "F18": Fault("429 with Retry-After `seconds`", "request", {"on": "any", "seconds": 1}),
    "F19": Fault("418, banned for `seconds`", "request", {"on": "any", "seconds": 5}),
    "F20": Fault("the venue's clock jumps by `milliseconds`", AT_ONCE, {"milliseconds": 5000}),
    "F21": Fault("a candle is missing", "bar opens"),
    "F22": Fault("a closed candle is late, revised, duplicate, out of order or malformed (`how`)", "candle",
                 {"how": "any", "seconds": 0.5}),
    "F23": Fault("the candle request lags `bars` behind the socket", "klines", {"bars": 1}),
    "F24": Fault("no connection while `bars` bars pass (by the clock: `seconds`)", AT_ONCE, {"bars": 5, "seconds": 0.5}),
    "F25": Fault("the symbol's filters change: tick and step grow by `factor`", AT_ONCE, {"factor": 10}),
    "F26": Fault("an order is refused for lack of balance", "request", {"on": "place"}),
    "F27": Fault("the symbol is halted for `bars` bars", AT_ONCE, {"bars": 1}),
    "F28": Fault("an order fills just before its cancel arrives", "cancel"),
    "F29": Fault("a foreign order, a deposit or a withdrawal (`how`) of `amount`", AT_ONCE, {"how": "order", "amount": 0.001}),
    "F30": Fault("process `pid` is killed; `how`: before or after the order executes, or partial: after a part of it", "process",
                 {"pid": 0, "how": "after"}),
    "F31": Fault("process `pid` is asked to end right after a fill", "report", {"pid": 0}),
    "F33": Fault("process `pid` is frozen for `seconds` at the end of a bar", AT_ONCE, {"pid": 0, "seconds": 5.0}),
    "F37": Fault("the API key is revoked for `count` requests", "request", {"on": "any"}),
    "F38": Fault("the next bar opens `bps` away from the last price", AT_ONCE, {"bps": -500.0}),
    "F39": Fault("an execution leaves a remainder below the minimum notional", "execution"),
    "F41": Fault("a request is `seconds` under way before it takes effect", "under way", {"on": "place", "seconds": 0.5}),
    "F42": Fault("carried out, and answered `seconds` later", "after request", {"on": "place", "seconds": 0.5}),
    "F43": Fault("not carried out; answered 307 with a redirect to `to`", "redirect", {"on": "any", "to": "http://localhost:9"}),
    "F44": Fault("the venue is in maintenance for `count` requests", "request", {"on": "any"}),
    "F40": Fault("a seeded mix: every fault that a client can recover from, each with this probability", AT_ONCE),
}  # fmt: skip
OF_THE_CLIENT: Final = {
    "F32": "a strategy's exception", "F34": "a full disk", "F35": "Firestore's outage", "F36": "a second process",
}  # fmt: skip
# The mix of F40: nothing that kills a process, halts for good or changes market rules.
RECOVERABLE: Final = (
    "F1", "F2", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13", "F14", "F16", "F18", "F21", "F22", "F23", "F26",
    "F28",
)  # fmt: skip


@dataclass(slots=True)
class Switch:
    """An armed fault; `left` counts the firings to come, None for no limit."""

    name: str
    values: dict[str, Value]
    left: int | None
    fired: int = 0
    until: float = 0.0  # the end of a fault that has a duration

    def number(self, option: str) -> float:
        return float(self.values[option])

    def text(self, option: str) -> str:
        return str(self.values[option])


class Switchboard:
    """The armed faults.

    Args:
        now_bar: the number of bars played so far.
        on_fired: called with the name and options of each fault that fires.
    """

    def __init__(self, seed: int, now_bar: Callable[[], int], on_fired: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.rng = random.Random(seed)
        self._now_bar = now_bar
        self._on_fired = on_fired
        self.switches: dict[str, Switch] = {}  # the armed faults by name
        self.changes = 0  # grows with every change, chance included

    def arm(self, name: str, options: Mapping[str, Value] | None = None) -> Switch:
        """Arm a fault, replacing an armed one of the same name.

        Raises:
            UnknownSetting: no such fault or option; the message names the nearest.
            InvalidSetting: a value outside its range or of the wrong type.
        """
        name = name.upper()
        values = read_options(name, options or {})
        if values["after_bars"]:
            values["after_bars"] = int(values["after_bars"]) + self._now_bar()
        self.changes += 1
        switch = Switch(name, values, int(values["count"]) or None)
        self.switches[name] = switch
        if name == "F40":
            self._mix(values)
        return switch

    def disarm(self, name: str = "") -> None:
        """Disarm one fault, or all."""
        self.changes += 1
        if name:
            self.switches.pop(name.upper(), None)
        else:
            self.switches.clear()

    def armed(self, name: str) -> Switch | None:
        return self.switches.get(name)

    def is_due(self, name: str, symbol: str, *, on: str) -> bool:
        """Whether the fault is armed for this symbol and kind of request, and its bars have passed."""
        switch = self.switches.get(name)
        return switch is not None and self._fits(switch, symbol, on)

    def fire(self, name: str, symbol: str = "", *, on: str = "") -> Switch | None:
        """The armed fault if it fires for this symbol and kind of request, which is then counted; else None."""
        switch = self.switches.get(name)
        if switch is None or not self._fits(switch, symbol, on):
            return None
        self.changes += 1
        chance = switch.number("probability")
        if chance < 1 and self.rng.random() >= chance:
            return None
        switch.fired += 1
        self._on_fired(name, {"symbol": symbol, "on": on, **switch.values})
        if switch.left is not None:
            switch.left -= 1
            if switch.left <= 0:
                del self.switches[name]
        return switch

    def described(self) -> dict[str, Any]:
        return {s.name: {"title": CATALOGUE[s.name].title, "left": s.left, "fired": s.fired} | s.values for s in self.switches.values()}

    def _fits(self, switch: Switch, symbol: str, on: str) -> bool:
        wanted = switch.values["symbol"]
        if wanted and symbol and wanted != symbol:
            return False
        if "on" in switch.values and switch.values["on"] not in ("any", on):
            return False
        return self._now_bar() >= int(switch.values["after_bars"])

    def _mix(self, values: Mapping[str, Value]) -> None:
        chance = float(values["probability"])
        for name in RECOVERABLE:
            self.arm(name, {"count": 0, "probability": 0.02 if chance == 1 else chance})


def read_options(name: str, options: Mapping[str, Value]) -> dict[str, Value]:
    """All options of fault `name`: its defaults, overridden by the given ones. Raises as `Switchboard.arm`."""
    if name in OF_THE_CLIENT:
        raise InvalidSetting(f"fault {name} is {OF_THE_CLIENT[name]}: it happens in the client, an exchange has no switch for it")
    if name not in CATALOGUE:
        raise UnknownSetting(f"fault {name!r}: there is no such fault{nearest(name, CATALOGUE)}")
    known = {**COMMON, **CATALOGUE[name].options}
    for option, value in options.items():
        if option not in known:
            raise UnknownSetting(f"fault {name}: no option {option!r}{nearest(option, known)}")
        if isinstance(known[option], str) != isinstance(value, str) or isinstance(value, bool | list | dict | None):
            kind = "text" if isinstance(known[option], str) else "a number"
            raise InvalidSetting(f"fault {name}: {option} must be {kind}, not {value!r}")
        low = -LARGEST if option in SIGNED else 0
        if not isinstance(value, str) and not low <= value <= LARGEST:
            raise InvalidSetting(f"fault {name}: {option} must be a number from {low} to {LARGEST}, not {value!r}")
    chosen = {**known, **options}
    if not 0 < float(chosen["probability"]) <= 1 or int(chosen["count"]) < 0:
        raise InvalidSetting(f"fault {name}: probability must lie above 0 and up to 1, count at 0 or above")
    return chosen


def read_faults(path: Path) -> dict[str, dict[str, Value]]:
    """Read a fault file: YAML or JSON, fault name to options, or a plain list of names.

    Raises:
        ConfigError: the file is missing, unreadable, or names a fault or option that does not exist.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"fault file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"fault file {path} is neither YAML nor JSON") from error
    if isinstance(tree, list):
        tree = {str(name): {} for name in tree}
    if not isinstance(tree, dict) or not all(isinstance(n, str) and isinstance(o or {}, dict) for n, o in tree.items()):
        raise ConfigError(f"fault file {path} must map fault names to their options, for example F1: {{count: 2}}")
    faults = {name.upper(): dict(options or {}) for name, options in tree.items()}
    for name, options in faults.items():
        read_options(name, options)
    return faults
