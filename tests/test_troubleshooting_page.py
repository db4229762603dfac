"""docs/troubleshooting.md: made from the error tree and tests/error_advice.py; `python -m tests.test_troubleshooting_page` writes it.

An example is a message as users see it. Somewhere in our code its error is made with a text of just that form, or the test fails.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from functools import cache

import pytest

from forwardtrader.core import errors
from tests import ROOT
from tests.error_advice import ADVICE

PAGE = ROOT / "docs" / "troubleshooting.md"
ROOMS = ("core", "feeds", "models", "strategies", "backtest", "live", "reports", "serve", "sandbox")
FEWEST_LETTERS = 10
HEAD = """# Troubleshooting

Made from the tree of errors (`core/errors.py`). Commands are typed in the project's environment, which `make backtest` makes:
`source .venv/bin/activate`.

A command that cannot go on says one line, which ends with what to do, and gives its exit code. Look for the words of your line on this
page. What a run or a session did before stands in `var/log.jsonl` and in the session's own folder, without keys and tokens.

| exit code | |
|---|---|
| 0 | done |
| 1 | a bug of ours, with its traceback in `var/log.jsonl`: report that line |
| 2 | a mistake in the command, in its settings or in its data; or a model that cannot be used |
| 3 | data, venue, disk or cluster not to be had now, or too little for an audit to prove anything |
| 4 | halted by a risk limit or by the kill switch |
| 5 | refused to start, or a command to a session that was not carried out |
| 6 | parity broken: a session did not do what its replay does; see [live](live.md#parity) |
| 130 | interrupted; run the same command again to go on |
"""
TITLES = {
    2: "A mistake in the command or its data",
    3: "Not to be had now",
    4: "Halted",
    5: "Refused, or not carried out",
}


def kinds() -> list[type[errors.TradingError]]:
    """The classes of the tree below its root, as they stand in the file."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.TradingError)]
    return sorted((kind for kind in found if kind is not errors.TradingError), key=lambda kind: inspect.getsourcelines(kind)[1])


def page() -> str:
    sections = (f"## {code}: {title}\n\n{_of_code(code)}" for code, title in TITLES.items())
    return f"{HEAD}\n{chr(10).join(sections)}"


def _of_code(code: int) -> str:
    return "\n".join(_entry(kind) for kind in kinds() if kind.exit_code == code)


def _entry(kind: type[errors.TradingError]) -> str:
    remedy, examples = ADVICE[kind.__name__]
    shown = "".join(f"```text\n{example}\n```\n\n" for example in examples)
    return f"### {kind.__name__}\n\n{shown}{_meaning(kind)}\n\n**What to do:** {remedy}\n"


def _meaning(kind: type[errors.TradingError]) -> str:
    return " ".join((kind.__doc__ or "").split())


@cache
def forms() -> dict[str, list[str]]:
    """The texts that our code makes each error with, as patterns; under "" all texts of files that make errors."""
    found: dict[str, list[str]] = defaultdict(list)
    files = (path.read_text(encoding="utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    makes_one = re.compile(rf"\b(?:{'|'.join(ADVICE)})\(")
    for node in (node for text in files if makes_one.search(text) for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.JoinedStr):
            found[""].append(_pattern(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            found[node.func.id].append(_pattern(node.args[0]))
    return found


def _pattern(text: ast.expr) -> str:
    """A text of the code as a pattern; what is filled in is anything. One of a few letters, which fits everything, fits nothing."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    words = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
    if sum(map(len, words)) < FEWEST_LETTERS:
        return r"(?!)"
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts)


def is_said(name: str, example: str) -> bool:
    """Whether our code makes the error `name` with a text of this form; the text of a check's report is made beside it."""
    where = "" if name.endswith("ChecksFailed") else name
    return any(re.fullmatch(form, example, re.DOTALL) for form in forms()[where])


def test_every_error_has_advice_and_none_is_left_of_one_that_is_gone() -> None:
    assert sorted(ADVICE) == sorted(kind.__name__ for kind in kinds())
    assert {kind.exit_code for kind in kinds()} == set(TITLES)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_says_what_it_means(kind: type[errors.TradingError]) -> None:
    assert kind.__doc__ and kind.__doc__ not in [above.__doc__ for above in kind.__mro__[1:]]
    assert bool(ADVICE[kind.__name__].examples) == bool(forms()[kind.__name__])


@pytest.mark.parametrize(("name", "example"), [(name, each) for name, advice in ADVICE.items() for each in advice.examples])
def test_an_example_is_a_message_of_ours(name: str, example: str) -> None:
    assert is_said(name, example)


def test_a_message_that_nobody_says_is_no_example() -> None:
    assert not is_said("UnknownVenue", "no exchange was called 'binanse'")
    assert not is_said("RiskHalt", "timeframe '1hour' is not known; use a form like 1m, 15m, 1h, 4h or 1d")


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.test_troubleshooting_page"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
