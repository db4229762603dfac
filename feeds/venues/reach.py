"""Reachability check of endpoints, with a deadline even where names cannot be resolved."""

from __future__ import annotations

import ipaddress
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
class Endpoint:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def of_url(cls, url: str) -> Endpoint:
        """Read `scheme://host:port/...`; the port follows from the scheme where it is missing. Raises `InvalidSetting` for other text."""
        parts = urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise InvalidSetting(f"{url!r} is not the address of a venue; write it like http://127.0.0.1:8080")
        return cls(parts.hostname, port)


def is_loopback(endpoint: Endpoint) -> bool:
    """Whether the address is this machine: an IP address of its loopback network, or `localhost` where it resolves to such ones only.

    Any other name is somebody's who may let it point anywhere, e.g. 127.0.0.1.example.org.
    """
    if endpoint.host != "localhost":
        return _is_loopback_ip(endpoint.host)
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_is_loopback_ip(str(address[0])) for *_, address in found)


def require_encrypted(url: str) -> None:
    """Raise `InvalidSetting` for an address to which keys would be sent unencrypted: plain http or ws to another machine; "" is fine."""
    scheme, _, rest = url.partition("://")
    if url and scheme.lower() not in ("https", "wss") and not is_loopback(Endpoint.of_url(f"http://{rest}")):
        raise InvalidSetting(f"{url} is not encrypted: orders and keys are sent to other machines by https only; write https://")


def _is_loopback_ip(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def reachable(endpoints: Sequence[Endpoint], *, deadline_s: float = DEADLINE_S) -> list[bool]:
    """For each endpoint, whether a connection opens within `deadline_s` seconds; all are tried in parallel.

    Behind a proxy (`HTTPS_PROXY`) it is the proxy that has to answer; a SOCKS proxy counts as reachable. A resolver that hangs costs
    no more than the deadline: it is left behind in a thread that ends with the process.
    """
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or ""
    if proxy.startswith("socks"):
        return [True] * len(endpoints)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    targets = [Endpoint.of_url(proxy) if proxy and endpoint.port == 443 else endpoint for endpoint in endpoints]
    answers = [False] * len(targets)
    threads = [
        threading.Thread(target=_try_connect, args=(target, answers, i, deadline_s), daemon=True) for i, target in enumerate(targets)
    ]
    until = time.monotonic() + deadline_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if answers[0]:
            break  # the first choice answers: no need to wait for the others
    return list(answers)


def _try_connect(endpoint: Endpoint, answers: list[bool], index: int, timeout_s: float) -> None:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=timeout_s):
            answers[index] = True
    except OSError:
        answers[index] = False
