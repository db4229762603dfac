"""The flags of `forwardtrader serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forwardtrader.core.command.flags import FlagParser

PORT: Final = 8765


def serve_parser() -> FlagParser:
    """All flags with their help."""
    p = FlagParser(
        prog="forwardtrader serve",
        description="One web page for runs, sessions and models, for this machine alone. Stopping it stops no session.",
        examples=(
            "forwardtrader serve",
            "forwardtrader serve --port 9000 --new-token",
            "forwardtrader serve --host 192.168.1.20 --beyond-this-machine",
        ),
        closing="From another device: ssh -L 8765:127.0.0.1:8765 MACHINE, then open the printed address there.",
    )
    p.add_argument("--port", type=int, default=PORT, help=f"where it listens; 0 for any that is free (default: {PORT})")
    p.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="the address that it listens at (default: 127.0.0.1)")
    p.add_argument("--beyond-this-machine", action="store_true", help="allow a --host that other machines can reach")
    p.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that browsers may know this server by; repeatable"
    )
    p.add_argument("--new-token", action="store_true", help="make a new token; every browser that was let in is locked out")
    p.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    return p
