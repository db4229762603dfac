"""The page of sessions, and the commands that are given on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import NotObeyed
from forwardtrader.core.settings import Settings
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.instruction import instruct
from forwardtrader.live.request import LiveRequest
from forwardtrader.serve.access import Access
from forwardtrader.serve.facts.session_facts import SessionFacts, facts_of, marks_of, session_names
from forwardtrader.serve.live_updates import Update
from forwardtrader.serve.rendering import page, part
from forwardtrader.serve.routes.files import file_in

_LOG: Final = log.logger("serve")
_VERBS: Final = (ControlCommand.PAUSE, ControlCommand.RESUME, ControlCommand.FLATTEN, ControlCommand.KILL)
_SHOWN: Final = frozenset({"index.html", "parity.html", "session.json", "parity.json", "log.jsonl"})
_STANDING_S: Final = 1.0  # after which a session that runs is looked at though its files did not change: it may hang
_TONES: Final = {"running": "good", "paused": "wait", "starting": "wait", "ended": "plain"}
Known = tuple[tuple[object, ...], float, SessionFacts, str]  # marks, when it was read, facts, card


class SessionPages:
    """Routes below `/sessions`; also what is sent to open pages.

    Args:
        settings: by which sessions are judged, and commanded.
    """

    def __init__(self, sessions: Path, access: Access, settings: Settings, clock: Clock) -> None:
        self._folder = sessions
        self._access = access
        self._settings = settings
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._told: dict[str, str] = {}
        self._commanding = CapacityLimiter(8)

    def routes(self) -> list[Route]:
        return [
            Route("/sessions", self.all),
            Route("/sessions/{name}/{file}", self.file),
            Route("/sessions/{name}/{verb}", self.command, methods=["POST"]),
        ]

    async def all(self, _request: Request) -> Response:
        """All sessions, those that run first."""
        cards = await to_thread.run_sync(self._cards)
        return page("sessions.html.j2", self._access, {"cards": cards})

    def file(self, request: Request) -> Response:
        return file_in(self._folder, request.path_params["name"], request.path_params["file"], _SHOWN)

    async def command(self, request: Request) -> Response:
        """Carry a command to a session, and answer with what it did."""
        name, verb = request.path_params["name"], request.path_params["verb"]
        if verb not in _VERBS or name not in await to_thread.run_sync(session_names, self._folder):
            raise HTTPException(404)
        told = await to_thread.run_sync(self._instruct, name, ControlCommand(verb), limiter=self._commanding)
        return JSONResponse(log.redacted(told))

    def _instruct(self, name: str, verb: ControlCommand) -> dict[str, Any]:
        log.event(_LOG, "command_given", logging.INFO, session=name, verb=str(verb))
        request = LiveRequest(settings=self._settings, name=name, verb=verb, command=f"forwardtrader serve: {verb}")
        try:
            text, obeyed = instruct(request, verb, self._clock), True
        except NotObeyed as refusal:
            text, obeyed = str(refusal), False
        return {"obeyed": obeyed, "text": text.replace("--resume", "Resume").replace("--kill", "Kill")}

    def news(self) -> Iterable[Update]:
        """The cards that changed, and the signs of life."""
        known = self._looked_at()
        cards = {name: card for name, (_, _, _, card) in known.items()}
        changed = [Update("session", {"name": name, "html": card}) for name, card in cards.items() if self._told.get(name) != card]
        gone = [Update("session", {"name": name, "html": ""}) for name in self._told if name not in cards]
        self._told = cards
        return [*changed, *gone]

    def whole(self) -> Iterable[Update]:
        """Every card as it is now."""
        return [Update("session", {"name": name, "html": card}) for name, card in self._cards()]

    def _cards(self) -> list[tuple[str, str]]:
        known = list(self._looked_at().values())
        known.sort(key=lambda each: (not each[2].is_running, -_moment(each[2]), each[2].name))
        return [(facts.name, card) for _, _, facts, card in known]

    def _looked_at(self) -> dict[str, Known]:
        self._known = {name: self._one(name) for name in session_names(self._folder)}
        return self._known

    def _one(self, name: str) -> Known:
        marks, known, now = marks_of(self._folder / name), self._known.get(name), time.monotonic()
        if known is not None and known[0] == marks and (not known[2].is_running or now < known[1] + _STANDING_S):
            return known
        facts = facts_of(self._folder / name, self._clock, self._settings)
        return marks, now, facts, card_of(facts)


def card_of(facts: SessionFacts) -> str:
    """The session's piece of the page."""
    return part("session_card.html.j2", {"one": facts, "tone": _TONES.get(facts.standing, "none"), "points": _points(facts.curve)})


def _points(curve: Sequence[float]) -> str:
    """A line of 100 by 30 for a small picture; "" where there is none to draw."""
    if len(curve) < 3:
        return ""
    low, span = min(curve), (max(curve) - min(curve)) or 1.0
    last = len(curve) - 1
    return " ".join(f"{100 * at / last:.2f},{29 - 28 * (value - low) / span:.2f}" for at, value in enumerate(curve))


def _moment(facts: SessionFacts) -> float:
    return facts.bar_told.timestamp() if facts.bar_told else 0.0
