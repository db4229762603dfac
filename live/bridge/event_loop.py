"""The kind of event loop that talks to a venue: uvloop's where it is installed, with the one thing mended that it does to sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import socket
from typing import Any


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop's kind; asyncio's own, somewhat slower, on platforms that lack it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()

    class Loop(uvloop.Loop):
        """uvloop's, which closes the descriptor of a connection that is cancelled half way but leaves its number to the Python socket.

        Whenever that socket was collected, it would close the number once more: by then another socket's, or the journal's.
        """

        # With uvloop's own named arguments: a socket that was given belongs to the transport wherever a cancellation can come.
        async def create_connection(
            self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, *, sock: socket | None = None, **options: Any
        ) -> Any:
            try:
                return await super().create_connection(protocol_factory, host, port, sock=sock, **options)
            except asyncio.CancelledError:
                if sock is not None:
                    sock.detach()
                raise

    return Loop()
