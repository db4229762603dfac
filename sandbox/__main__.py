"""`python -m sandbox`: start the practice exchange; its first line on stdout is one JSON object."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from forwardtrader.core.command.cli import run
from forwardtrader.sandbox.flags import sandbox_parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(sandbox_parser(), argv, _run)


def _run(given: argparse.Namespace) -> int:
    from forwardtrader.sandbox.serve import serve_until_stopped

    return serve_until_stopped(given)


if __name__ == "__main__":
    raise SystemExit(main())
