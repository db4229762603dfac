"""What arrives at open pages: each what is new, and none held up by one that does not listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from forwardtrader.serve.live_updates import MOST_STREAMS, LiveUpdates, Update
from tests import PATIENCE_S


class Counting:
    """Has something new at every look; `fails` makes it raise instead."""

    def __init__(self) -> None:
        self.looks = 0
        self.fails = False

    def news(self) -> Iterable[Update]:
        self.looks += 1
        if self.fails:
            raise OSError("gone")
        return [Update("count", self.looks)]

    def whole(self) -> Iterable[Update]:
        return [Update("count", "now")]


def data_of(chunk: bytes) -> Any:
    return json.loads(chunk.decode().partition("data: ")[2])


def in_time(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene, PATIENCE_S))


def test_a_page_is_told_how_things_stand_and_then_what_is_new() -> None:
    async def scene() -> None:
        updates = LiveUpdates([Counting()])
        looking = asyncio.create_task(updates.look())
        stream = updates.stream()
        assert b"event: clock" in await anext(stream)
        assert data_of(await anext(stream)) == "now"
        first = data_of(await anext(stream))
        assert data_of(await anext(stream)) == first + 1
        await stream.aclose()
        looking.cancel()

    in_time(scene())


def test_nothing_is_looked_at_while_nobody_watches() -> None:
    async def scene() -> None:
        counting = Counting()
        looking = asyncio.create_task(LiveUpdates([counting]).look())
        await asyncio.sleep(0.5)
        assert counting.looks == 0
        looking.cancel()

    in_time(scene())


def test_what_cannot_be_read_does_not_end_what_else_is_told() -> None:
    async def scene() -> None:
        failing, counting = Counting(), Counting()
        failing.fails = True
        updates = LiveUpdates([failing, counting])
        looking = asyncio.create_task(updates.look())
        stream = updates.stream()
        for _ in range(5):
            await anext(stream)
        assert not looking.done()
        await stream.aclose()
        looking.cancel()

    in_time(scene())


def test_a_page_that_does_not_listen_is_let_go_and_the_others_go_on() -> None:
    async def scene() -> None:
        updates = LiveUpdates([])
        deaf, keen = updates.stream(), updates.stream()
        await anext(deaf), await anext(keen)
        for number in range(1000):
            updates._deal_out(Update("count", number))
            assert data_of(await anext(keen)) == number
        taken = [chunk async for chunk in deaf]
        assert len(taken) < 1000, "it ended"
        await keen.aclose()
        assert not updates._listening

    in_time(scene())


def test_streams_end_with_the_server_and_there_are_only_so_many() -> None:
    async def scene() -> None:
        updates = LiveUpdates([])
        streams = [updates.stream() for _ in range(MOST_STREAMS)]
        for stream in streams:
            await anext(stream)
        assert updates.is_full
        updates.is_ending = lambda: True
        for stream in streams:
            assert [chunk async for chunk in stream] == []
        assert not updates.is_full

    in_time(scene())
