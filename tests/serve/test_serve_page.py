"""docs/serve.md: what it tells to type is understood."""

from __future__ import annotations

import importlib
import re
import shlex

import pytest

from forwardtrader.__main__ import COMMANDS
from forwardtrader.core.command.flags import with_project
from tests import ROOT

PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
TYPED = re.findall(r"(?m)^forwardtrader [^\n]+", PAGE)


@pytest.mark.parametrize("line", TYPED)
def test_a_command_of_the_page_is_one(line: str) -> None:
    _, name, *words = shlex.split(line)
    module, _, function = COMMANDS[name].flags.partition(":")
    with_project(getattr(importlib.import_module(f"forwardtrader.{module}"), function)()).parse_args(words)


def test_its_flags_are_flags_of_the_command() -> None:
    from forwardtrader.serve.flags import serve_parser

    known = {flag for action in serve_parser()._actions for flag in action.option_strings} | {"--name", "--pause"}
    assert len(TYPED) >= 2 and set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= known
