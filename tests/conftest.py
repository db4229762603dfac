"""What every test may rely on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and so would every command that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
