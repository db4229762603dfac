"""Whether a chat is configured, and the channel to it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from forwardtrader.core import environment as variables
from forwardtrader.core.errors import ConfigError
from forwardtrader.live.telegram.channel import API, TelegramChannel


def is_configured(known: Mapping[str, str]) -> bool:
    """Whether token and chat are given.

    Raises:
        ConfigError: the token is given without a chat, or the library is not installed.
    """
    if not known.get("TELEGRAM_BOT_TOKEN"):
        return False
    if not known.get("TELEGRAM_CHAT_ID"):
        raise ConfigError("TELEGRAM_BOT_TOKEN is set and TELEGRAM_CHAT_ID is missing; set both, or set live.telegram=false")
    if find_spec("telegram") is None:
        raise ConfigError(
            "TELEGRAM_BOT_TOKEN is set, but python-telegram-bot is not installed; "
            "pip install 'forwardtrader[telegram]', or set live.telegram=false"
        )
    return True


def api_of(known: Mapping[str, str]) -> str:
    """Scheme and host of the bot API."""
    return known.get("TELEGRAM_API", "") or API


def alerts_from(environment: Mapping[str, str] | None = None, *, name: str) -> TelegramChannel | None:
    """The channel named by the environment or `.env`; None where there is none. Raises as `is_configured`."""
    known = variables.environment() if environment is None else environment
    if not is_configured(known):
        return None
    return TelegramChannel(known["TELEGRAM_BOT_TOKEN"], known["TELEGRAM_CHAT_ID"], name=name, api=api_of(known))
