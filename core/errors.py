"""The error tree: every error that this project raises itself, and the exit code that a command ends with.

TradingError                    1
├── ConfigError                 2   UnknownSetting, InvalidSetting, UnknownSymbol, UnknownTimeframe, UnknownVenue, InvalidDates,
│                                   AccountTooSmall, StrategyFailed, StrategyChecksFailed, ForecasterFailed, ForecasterChecksFailed,
│                                   FeatureFailed, TelegramRefused
├── DataError                   2   CandleFileInvalid, TooLittleHistory, FactorNotYetPublished, RunUnreadable
│   ├── AuditIncomplete         3
│   ├── StoreDamaged            3
│   ├── StorageFull             3
│   ├── DownloadCutShort        3
│   ├── VenueRefused            3   VenueRedirected
│   └── VenueUnreachable        3   VenueBusy
├── ModelError                  2   NotTrained, FingerprintMismatch, LookAheadFound, TrainingDiverged
├── ClusterUnusable             3
├── TelegramUnreachable         3   TelegramConflict
├── RiskHalt                    4
├── NotObeyed                   5
└── StartRefused                5   AccountLocked, ReconciliationFailed

A message is one line: what is wrong, and how to fix it. Errors of other libraries are translated where those are called.
"""

from __future__ import annotations

__all__ = [
    "AccountLocked",
    "AccountTooSmall",
    "AuditIncomplete",
    "CandleFileInvalid",
    "ClusterUnusable",
    "ConfigError",
    "DataError",
    "DownloadCutShort",
    "FactorNotYetPublished",
    "FeatureFailed",
    "FingerprintMismatch",
    "ForecasterChecksFailed",
    "ForecasterFailed",
    "InvalidDates",
    "InvalidSetting",
    "LookAheadFound",
    "ModelError",
    "NotObeyed",
    "NotTrained",
    "ReconciliationFailed",
    "RiskHalt",
    "RunUnreadable",
    "StartRefused",
    "StorageFull",
    "StoreDamaged",
    "StrategyChecksFailed",
    "StrategyFailed",
    "TelegramConflict",
    "TelegramRefused",
    "TelegramUnreachable",
    "TooLittleHistory",
    "TradingError",
    "TrainingDiverged",
    "UnknownSetting",
    "UnknownSymbol",
    "UnknownTimeframe",
    "UnknownVenue",
    "VenueBusy",
    "VenueRedirected",
    "VenueRefused",
    "VenueUnreachable",
]


class TradingError(Exception):
    """The root: anything this project raises on purpose."""

    exit_code = 1


class ConfigError(TradingError):
    """The command, its settings or a file of the user's cannot be carried out as it stands."""

    exit_code = 2


class UnknownSetting(ConfigError):
    """A key that no room knows; the message names the nearest one."""


class InvalidSetting(ConfigError):
    """A known key with a value outside its range or of the wrong kind."""


class UnknownSymbol(ConfigError):
    """Neither the store nor the venue lists the symbol (the message names the nearest), or it is a contract that is not traded here."""


class UnknownTimeframe(ConfigError):
    """A bar length that is not of the form 1m, 15m, 1h, 1d, or that the venue has no candles of."""


class UnknownVenue(ConfigError):
    """An exchange name that ccxt does not know; the message names the nearest ones."""


class InvalidDates(ConfigError):
    """A date that cannot be read, lies in the future, or a range that ends before it begins."""


class AccountTooSmall(ConfigError):
    """The account can neither pay for the smallest order of a symbol nor sell one; the message says what it needs."""


class StrategyFailed(ConfigError):
    """The user's strategy raised an exception; the message names its line."""


class ForecasterFailed(ConfigError):
    """The user's forecaster raised an exception, or answered with something that is no forecast; the message names it and its fold."""


class FeatureFailed(ConfigError):
    """The user's feature raised an exception, or breaks a rule of features; the message names it, its line, and how to fix it."""


class ForecasterChecksFailed(ConfigError, AssertionError):
    """`check_forecaster` found something; the message names every check that failed."""


class StrategyChecksFailed(ConfigError, AssertionError):
    """`check_strategy` found something; the message names every check that failed."""


class TelegramRefused(ConfigError):
    """Telegram refuses the token, the chat or the message for good."""


class DataError(TradingError):
    """Market data that cannot be used as it is."""

    exit_code = 2


class CandleFileInvalid(DataError):
    """A candle file that is missing, empty, cut short, or holds rows no market could have printed."""


class TooLittleHistory(DataError):
    """Fewer bars than one training window, one forecast or one check needs."""


class FactorNotYetPublished(DataError):
    """A factor value claims to be known before the time it describes."""


class RunUnreadable(DataError):
    """A run folder whose files are missing, cut short, or written by a newer version."""


class AuditIncomplete(DataError):
    """No proof of an audit failed, but some had too little material to find anything in."""

    exit_code = 3


class StoreDamaged(DataError):
    """A stored file does not match its checksum and could not be fetched again."""

    exit_code = 3


class StorageFull(DataError):
    """The disk refused a write; what was saved before is intact."""

    exit_code = 3


class VenueUnreachable(DataError):
    """A venue, or Firestore, did not answer, or not in a way that can be read."""

    exit_code = 3


class VenueBusy(VenueUnreachable):
    """The venue asked for a pause of `retry_after_s` seconds (None: it named no time)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VenueRefused(DataError):
    """The venue refused: a location, a key or a request that it does not serve."""

    exit_code = 3


class VenueRedirected(VenueRefused):
    """The venue's address sent a request on to another one, where neither orders nor keys belong."""


class DownloadCutShort(DataError):
    """The venue's candles end before the requested end; those received are kept."""

    exit_code = 3


class ModelError(TradingError):
    """A model that cannot be used as it is."""

    exit_code = 2


class NotTrained(ModelError):
    """A forecast was requested where no model is in force, or a model that is not in the registry."""


class FingerprintMismatch(ModelError):
    """A saved model, or a recorded forecast, does not belong to the settings, features or candles at hand."""


class LookAheadFound(ModelError):
    """A look-ahead check failed: a value computed at a bar depends on a later one; the message names it."""


class TrainingDiverged(ModelError):
    """A training ended far from any forecast; its model is neither saved nor used."""


class ClusterUnusable(TradingError):
    """The Dask cluster cannot be reached, has no workers, was lost, or its workers run other code."""

    exit_code = 3


class TelegramUnreachable(TradingError):
    """Telegram does not answer, or asks to wait; `wait_s` seconds, 0 where it does not say."""

    exit_code = 3

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class TelegramConflict(TelegramUnreachable):
    """Another process receives with the same bot token, or a webhook does."""


class RiskHalt(TradingError):
    """A risk limit or the kill switch stopped trading; no order leaves until somebody says --resume."""

    exit_code = 4


class NotObeyed(TradingError):
    """A running session did not carry out a control command; the message says why, and what is left to do."""

    exit_code = 5


class StartRefused(TradingError):
    """The session must not start: its account, its strategy or its settings are not those it was begun with, or not safe to trade."""

    exit_code = 5


class AccountLocked(StartRefused):
    """Another process, here or on another machine, holds the account or the session."""


class ReconciliationFailed(StartRefused):
    """Journal and venue disagree about coins or executions in a way that no rule settles; nothing was traded."""
