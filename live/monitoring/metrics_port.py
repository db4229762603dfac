"""Whether metrics can be offered at a port; asked before anything is opened, and by `--check`."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import Final

from forwardtrader.core.errors import ConfigError

HOST: Final = "127.0.0.1"


def require_port(port: int) -> None:
    """Raise ConfigError where the library is not installed, or the port is taken or not for this user."""
    if find_spec("prometheus_client") is None:
        raise ConfigError(
            "live.metrics_port is set, but prometheus-client is not installed; pip install 'forwardtrader[live]', or set it to 0"
        )
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does; one that listens is found all the same
        try:
            tried.bind((HOST, port))
        except OSError as error:
            raise port_unusable(port, error) from error


def port_unusable(port: int, error: OSError) -> ConfigError:
    """The message about a port that the system does not give."""
    return ConfigError(f"port {port} of live.metrics_port cannot be used ({(error.strerror or '').lower()}); choose another one, or 0")
