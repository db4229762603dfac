"""Rendering of all pages: one style sheet, the same scripts, autoescaped templates, atomic writes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.core import atomic, log
from forwardtrader.reports.pages import charts
from forwardtrader.reports.pages.formats import FILTERS

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS: Final = ("charts.js", "zoom.js", "trips.js")
TEMPLATES: Final = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, context: dict[str, Any], payload: dict[str, Any] | None = None) -> Path:
    """Render a template to `path`, with its charts' data and plotly.js beside it where it has charts; secrets are struck out."""
    if payload is not None:
        charts.place_plotly(path.parent)
    parts = {"style": _asset("page.css"), "script": "".join(_asset(name) for name in SCRIPTS)}
    if payload is not None:
        parts["data"] = charts.as_script(payload)
    # What is ours or long is put in afterwards: to search it for what looks like a secret would find nothing, and take its time.
    places = {name: f"<{name} place>" for name in parts}  # of no text that came into a page, since that is escaped
    text = log.redact(environment().get_template(template).render(**context, **{"data": None, **places}))
    for name, part in parts.items():
        text = text.replace(places[name], part, 1)
    atomic.write_text(path, text)
    return path


@cache
def environment() -> Environment:
    """The templates' environment: all text is escaped, an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= FILTERS
    return made


@cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
