"""One GET request, bounded in bytes and in time, that follows no redirect to another host.

The time limit is that of the whole exchange: an answer that drips byte by byte ends with it too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

from forwardtrader.core import log
from forwardtrader.core.errors import ConfigError, VenueBusy, VenueRedirected, VenueRefused, VenueUnreachable
from forwardtrader.feeds.venues.reach import require_encrypted

MOST_BYTES: Final = 32_000_000
_REDIRECTS: Final = 3
_CHUNK: Final = 65_536
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "forwardtrader"}
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled_in(url: str, environment: Mapping[str, str]) -> str:
    """The address with its `${NAME}` replaced by variables of the environment.

    Raises:
        ConfigError: one is not set, or would be sent unencrypted to another machine.
    """
    missing = [name for name in _VARIABLE.findall(url) if not environment.get(name)]
    if missing:
        raise ConfigError(f"{shown(url)} needs the variable {missing[0]}; set it in the environment or in .env")
    if _VARIABLE.search(url):
        require_encrypted(url)
    return _VARIABLE.sub(lambda found: environment[found[1]], url)


def shown(url: str) -> str:
    """An address as messages say it: without its query, which may hold a key."""
    parts = urlsplit(_VARIABLE.sub("***", url))
    return log.redact(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def get(url: str, *, timeout_s: float, most_bytes: int = MOST_BYTES) -> bytes:
    """The body of the answer. Must not be called in a thread that runs an event loop.

    Raises:
        VenueUnreachable: no answer in time, or one larger than `most_bytes`. VenueBusy: too many requests.
        VenueRefused: any other status than 200. VenueRedirected: to another host, or in a circle.
    """
    import aiohttp

    try:
        return asyncio.run(_get(url, timeout_s, most_bytes))
    except (TimeoutError, aiohttp.ServerTimeoutError) as error:
        raise VenueUnreachable(f"{shown(url)} did not answer in full within {timeout_s:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise VenueUnreachable(f"{shown(url)} does not answer ({type(error).__name__})") from error


async def _get(url: str, timeout_s: float, most_bytes: int) -> bytes:
    import aiohttp

    limit = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=limit, headers=_HEADERS, auto_decompress=False, trust_env=True) as session:
        async with asyncio.timeout(timeout_s):
            return await _followed(session, url, most_bytes)


async def _followed(session: object, url: str, most_bytes: int) -> bytes:
    import aiohttp

    assert isinstance(session, aiohttp.ClientSession)
    at = url
    for _ in range(_REDIRECTS + 1):
        async with session.get(at, allow_redirects=False) as answer:
            if answer.status not in (301, 302, 303, 307, 308):
                _check(answer.status, answer.headers, url)
                return await _body(answer, url, most_bytes)
            at = _next(at, answer.headers.get("Location", ""), url)
    raise VenueRedirected(f"{shown(url)} redirects in a circle; look at the address")


def _next(at: str, location: str, url: str) -> str:
    target = urljoin(at, location)
    if urlsplit(target)[:2] != urlsplit(at)[:2]:  # scheme and host
        raise VenueRedirected(f"{shown(url)} redirects to another host, {shown(target)[:80]}, which was not followed; look at the address")
    return target


def _check(status: int, headers: Mapping[str, str], url: str) -> None:
    if status in (418, 429):
        after = headers.get("Retry-After", "")
        raise VenueBusy(f"{shown(url)} asks for fewer requests", float(after) if after.isdigit() and len(after) < 7 else None)
    if status >= 500:
        raise VenueUnreachable(f"{shown(url)} answered with an error of its own ({status})")
    if status != 200:
        raise VenueRefused(f"{shown(url)} refused ({status})")
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise VenueUnreachable(f"{shown(url)} sent a packed answer, which was not asked for")


async def _body(answer: object, url: str, most_bytes: int) -> bytes:
    import aiohttp

    assert isinstance(answer, aiohttp.ClientResponse)
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > most_bytes:
            raise VenueUnreachable(f"{shown(url)} sent more than {most_bytes:,} bytes; look at the address")
    return bytes(data)
