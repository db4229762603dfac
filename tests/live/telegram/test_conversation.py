"""What a message in the chat means."""

from __future__ import annotations

import pytest

from forwardtrader.live.control import ControlCommand
from forwardtrader.live.telegram.conversation import Conversation, Question, Reaction, Say
from forwardtrader.live.telegram.received import Received


def react(talk: Conversation, text: str, *, now: float = 0.0, age_s: float = 0.0, chat: str = "42") -> Reaction:
    return talk.react(Received(chat, text, 1000.0 - age_s), now=now, clock_s=1000.0)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/status", Question.STATUS), ("/Positions now", Question.POSITIONS), ("/pause", ControlCommand.PAUSE),
        ("/RESUME", ControlCommand.RESUME), ("/pause@other_bot", None), ("pause", None), ("  ", None), ("", None),
    ],
)  # fmt: skip
def test_a_word_with_a_slash_is_a_command(text: str, meant: Reaction) -> None:
    assert react(Conversation("42"), text) == meant


@pytest.mark.parametrize("verb", [ControlCommand.FLATTEN, ControlCommand.KILL])
def test_what_cannot_be_undone_is_confirmed_within_a_minute_and_once(verb: ControlCommand) -> None:
    talk = Conversation("42")
    assert isinstance(react(talk, f"/{verb}"), Say)
    assert react(talk, "/yes", now=59) is verb
    assert isinstance(react(talk, "/yes", now=59), Say), "not a second time"
    react(talk, f"/{verb}", now=100)
    assert isinstance(react(talk, "/yes", now=161), Say), "too late"
    react(talk, f"/{verb}", now=200)
    react(talk, "/status", now=201)
    assert isinstance(react(talk, "/yes", now=202), Say), "something else came between"


def test_nobody_else_confirms_or_commands_and_each_is_counted() -> None:
    talk = Conversation("42")
    react(talk, "/kill")
    assert react(talk, "/yes", chat="43") is None
    assert react(talk, "/kill", chat="-42") is None
    assert talk.strangers == 2
    assert react(talk, "/yes") is ControlCommand.KILL


def test_a_command_that_was_kept_for_long_is_not_carried_out() -> None:
    talk = Conversation("42")
    said = react(talk, "/pause", age_s=600)
    assert isinstance(said, Say) and "not carried out" in said.text
    react(talk, "/kill")
    assert isinstance(react(talk, "/yes", age_s=600), Say)
    assert react(talk, "/yes", now=1) is ControlCommand.KILL, "the old one confirms nothing and revokes nothing"


@pytest.mark.parametrize("text", ["/help", "/start", "/selfdestruct", "/stop", "/cancel", "/"])
def test_anything_else_is_answered_with_what_there_is(text: str) -> None:
    said = react(Conversation("42"), text)
    assert isinstance(said, Say) and "/flatten" in said.text
