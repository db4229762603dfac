"""The flags of the model registry."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.core.command.flags import FlagParser


def registry_parser() -> FlagParser:
    """The flags of `python -m models.registry`."""
    parser = FlagParser(
        prog="python -m models.registry",
        description="List saved models, and promote one or roll back.",
        examples=(
            "python -m models.registry list",
            "python -m models.registry show 3f2a",
            'python -m models.registry promote 3f2a --reason "the newer one was trained on bad data"',
        ),
    )
    parser.add_argument("--models", type=Path, help="where models are kept (models.save_path)")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="every model: what it learned from, and where it is in force")
    listing.add_argument("--symbol", default="", help="only models that learned from this symbol")
    showing = commands.add_parser("show", help="one model: its card and what was decided about it")
    for command in (listing, showing):
        command.add_argument("--json", action="store_true", help="for programs")
    promoting = commands.add_parser("promote", help="put a model in force from the next bar on")
    for command in (showing, promoting):
        command.add_argument("model", help="its id, or how that begins")
    rolling = commands.add_parser("rollback", help="put the model before in force again")
    rolling.add_argument("--market", default="", help='symbols and bars, as list shows them: "BTC/USDT 1h"')
    for command in (promoting, rolling):
        command.add_argument("--reason", required=True, help="why, for whoever looks later")
        command.add_argument("--session", default="", help="only in this session; every session of the market otherwise")
    return parser
