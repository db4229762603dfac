"""`python -m models.registry`: list saved models, promote one, or roll back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.models.flags import registry_parser


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """The command; returns its exit code."""
    return run(registry_parser(), argv, lambda given: _run(given, clock or SystemClock()))


def _run(given: argparse.Namespace, clock: Clock) -> int:
    from forwardtrader.models.registry.command import run_registry

    return run_registry(given, clock)


if __name__ == "__main__":
    raise SystemExit(main())
