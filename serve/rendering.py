"""Pages from templates: escaped, with the formats and the look of the pages of runs, and secrets struck out of what they show."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import HTMLResponse

from forwardtrader.core import log
from forwardtrader.reports.pages.formats import FILTERS
from forwardtrader.reports.pages.render import TEMPLATES as REPORTS
from forwardtrader.serve.access import Access

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).with_name("templates")
# What is asked for by `/static/NAME`: the parts that it is made of.
STATIC: Final = {
    "serve.css": (REPORTS / "page.css", TEMPLATES / "serve.css"),
    "serve.js": (TEMPLATES / "serve.js",),
}


@cache
def environment() -> Environment:
    """The templates' environment: all text is escaped, an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader((TEMPLATES, REPORTS)), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= FILTERS | {"segment": lambda text: quote(str(text), safe=""), "epoch": lambda at: int(at.timestamp() * 1000)}
    return made


def part(template: str, context: dict[str, Any]) -> str:
    """A piece of a page."""
    return log.redact(environment().get_template(template).render(**context))


def page(
    template: str, access: Access, context: dict[str, Any], drawn: Mapping[str, str] = MappingProxyType({}), *, status: int = 200
) -> HTMLResponse:
    """A whole page; the token of its forms is put in after secrets are struck out.

    Args:
        drawn: pieces that were drawn before, by the text that stands in the page for each, once.
    """
    text = part(template, context | {"form_token": "@form-token@"}).replace("@form-token@", access.form_token, 1)
    for place, piece in drawn.items():
        text = text.replace(place, piece, 1)
    return HTMLResponse(text, status)


@cache
def static_file(name: str) -> bytes | None:
    """A file of the program; None where it has none of that name."""
    parts = STATIC.get(name)
    return None if parts is None else b"\n".join(path.read_bytes() for path in parts)
