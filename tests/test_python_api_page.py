"""docs/python-api.md: made from the docstrings of what `import forwardtrader` offers; `python -m tests.test_python_api_page` writes it."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import pytest

import forwardtrader as ft
from tests import ROOT

PAGE = ROOT / "docs" / "python-api.md"
HEAD = """# Python interface

Made from the docstrings of the code. Times are UTC, shapes in brackets.

"""


def page() -> str:
    return HEAD + "\n".join(part for name in ft.__all__ for part in _entry(name))


def _entry(name: str) -> list[str]:
    found = getattr(ft, name)
    if name == "backtest":
        from forwardtrader.backtest.api.runs import backtest as found
    parts = [f"## {name}\n", _text(found)]
    if inspect.isclass(found):
        for key, value in sorted(vars(found).items()):
            if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)) and inspect.getdoc(value):
                signature = "" if isinstance(value, property) else _signature(value)
                parts.append(f"### {name}.{key}{signature}\n\n{_fenced(inspect.getdoc(value) or '')}")
    elif inspect.isfunction(found):
        parts.insert(1, f"`{name}{_signature(found)}`\n")
    return parts


def _text(thing: object) -> str:
    return _fenced(inspect.getdoc(thing) or "")


def _fenced(text: str) -> str:
    return f"```text\n{textwrap.dedent(text)}\n```\n"


def _signature(function: Any) -> str:
    given = [each for name, each in inspect.signature(function).parameters.items() if name != "self"]
    return f"({', '.join(each.name if each.default is each.empty else f'{each.name}={each.default!r}' for each in given)})"


@pytest.mark.parametrize("name", ft.__all__)
def test_everything_public_says_what_it_is(name: str) -> None:
    assert (inspect.getdoc(getattr(ft, name)) or "").strip()


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.test_python_api_page"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
