"""Whether anything answers at an address, decided quickly even where names cannot be resolved."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from forwardtrader.core.errors import InvalidSetting

DEADLINE_S: Final = 3.0


@dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def of_url(cls, url: str) -> Address:
        """Read `scheme://host:port/...`; the port follows from the scheme where it is missing. Raises `InvalidSetting` for other text."""
        parts = urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise InvalidSetting(f"{url!r} is not the address of a venue; write it like http://127.0.0.1:8080")
        return cls(parts.hostname, port)


def is_loopback(address: Address) -> bool:
    """Whether the address is this machine."""
    return address.host in ("localhost", "::1") or address.host.startswith("127.")


def reachable(addresses: Sequence[Address], *, deadline_s: float = DEADLINE_S) -> list[bool]:
    """For each address, whether a connection opens within `deadline_s` seconds; all are tried at once.

    Behind a proxy (`HTTPS_PROXY`) it is the proxy that has to answer; a SOCKS proxy is taken at its word. A resolver that hangs costs
    no more than the deadline: it is left behind in a thread that ends with the process.
    """
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    if proxy.startswith("socks"):
        return [True] * len(addresses)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    targets = [Address.of_url(proxy) if proxy and address.port == 443 else address for address in addresses]
    answers = [False] * len(targets)
    threads = [threading.Thread(target=_knock, args=(target, answers, i, deadline_s), daemon=True) for i, target in enumerate(targets)]
    until = time.monotonic() + deadline_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if answers[0]:
            break  # the first choice answers: the others need not be waited for
    return list(answers)


def _knock(address: Address, answers: list[bool], place: int, timeout_s: float) -> None:
    try:
        with socket.create_connection((address.host, address.port), timeout=timeout_s):
            answers[place] = True
    except OSError:
        answers[place] = False
