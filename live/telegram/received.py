"""A message to the bot, free of the library's types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """A message to the bot: chat, text, and when Telegram took it (epoch seconds)."""

    chat_id: str
    text: str
    at: float


def for_bot(text: str, username: str) -> str:
    """The text without the bot's own name, which a group puts behind a command (`/status@name`)."""
    word, space, rest = text.partition(" ")
    return f"{word[: -len(username) - 1]}{space}{rest}" if word.lower().endswith(f"@{username.lower()}") else text
