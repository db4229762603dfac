"""`forwardtrader serve`: the page in a browser of this machine."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.errors import ConfigError
from forwardtrader.serve.flags import serve_parser

if TYPE_CHECKING:
    import uvicorn

    from forwardtrader.serve.access import Access
    from forwardtrader.serve.application import Application

LOG: Final = Path("var/log.jsonl")
_NEEDED: Final = ("starlette", "uvicorn")
_ENDING_S: Final = 2  # that open connections are waited for
_MOST_AT_ONCE: Final = 200  # connections; a browser opens six


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(serve_parser(), argv, _serve, log_file=LOG)


def _serve(given: argparse.Namespace) -> int:
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"the page needs {' and '.join(missing)}; run `pip install 'forwardtrader[serve]'`, or `make backtest` again")
    from forwardtrader.core.command.project import typed_path
    from forwardtrader.core.config import load_settings
    from forwardtrader.serve.access import TOKEN_FILE, Access, kept_token
    from forwardtrader.serve.application import application
    from forwardtrader.serve.guard import allowed_hosts

    is_open = require_address(given.host, beyond=given.beyond_this_machine)
    settings = load_settings(given.config and typed_path(given.config))
    with closing(bound(given.host, given.port)) as listening:
        access = Access(kept_token(TOKEN_FILE, anew=given.new_token))
        hosts, config = allowed_hosts(given.host, given.allow_host), given.config and typed_path(given.config)
        app = application(settings, access, hosts, SystemClock(), own=TOKEN_FILE.parent, config=config, numbers=is_open)
        _announce(given.host, listening.getsockname()[1], access, is_open=is_open)
        _run(app, listening)
    sys.stdout.write("stopped; sessions and backtests go on\n")
    return 0


def require_address(host: str, *, beyond: bool) -> bool:
    """Whether other machines can reach an address.

    Raises:
        ConfigError: it is none, or they can and that was not allowed.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise ConfigError(f"--host {host}: give an address in numbers, such as 192.168.1.20") from error
    if address.is_loopback:
        return False
    if not beyond:
        raise ConfigError(f"--host {host}: other machines can reach that; add --beyond-this-machine if it is meant, or use ssh -L")
    return True


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: something else listens there, or nothing can.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except (OSError, OverflowError) as error:
        found.close()
        why = error.strerror if isinstance(error, OSError) else "ports go up to 65535"
        raise ConfigError(f"port {port} of {host} cannot be had ({why}); stop what uses it, or choose another --port") from error
    return found


def _announce(host: str, port: int, access: Access, *, is_open: bool) -> None:
    reached = "127.0.0.1" if ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_unspecified else host
    shown = f"[{reached}]" if ":" in reached else reached
    if is_open:
        sys.stderr.write(
            f"warning: other machines can reach {host}:{port}, and the connection is not encrypted: whoever reads it can command sessions\n"
        )
    sys.stdout.write(f"forwardtrader serves at http://{shown}:{port}/?token={access.token}\n")
    sys.stdout.write("the address lets a browser in: keep it to yourself. Ctrl-C stops the page; sessions go on.\n")
    sys.stdout.flush()


def server_of(application: Application) -> uvicorn.Server:
    """The server: quiet, anonymous, and neither kept busy nor from ending by connections that are left open."""
    import uvicorn

    config = uvicorn.Config(
        application.app, log_config=None, access_log=False, server_header=False, ws="none", lifespan="on", limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_ENDING_S, proxy_headers=False, h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip
    server = uvicorn.Server(config)
    application.updates.is_ending = lambda: server.should_exit
    return server


def _run(app: Application, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    try:
        server_of(app).run(sockets=[listening])
    except KeyboardInterrupt:  # raised again by uvicorn when everything is closed
        return
