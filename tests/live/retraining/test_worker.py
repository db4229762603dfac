"""Training in a child process: its failure is one line, and it can be stopped."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from forwardtrader.core.errors import NotTrained
from forwardtrader.live.retraining.worker import _Child, _file
from tests.processes import begin

BOUNDARY = datetime(2024, 1, 1, tzinfo=UTC)


def child(code: str, damaged: dict[str, str] | None = None) -> _Child:
    output, errors = _file(), _file()
    process = begin([sys.executable, "-c", code], stdout=output, stderr=errors)
    found = {} if damaged is None else damaged
    return _Child(BOUNDARY, process, output, errors, found.__setitem__)


def test_the_answer_of_a_child_is_its_last_line_and_names_damaged_models() -> None:
    damaged: dict[str, str] = {}
    answer = '{"model_id": "m1", "damaged": {"m0": "torn"}}'
    assert child(f"print('noise'); print('{answer}')", damaged).finish() == "m1"
    assert damaged == {"m0": "torn"}


def test_what_a_forecaster_prints_at_the_end_is_no_answer() -> None:
    assert child("""print('{"model_id": "m1", "damaged": {}}'); print('goodbye'); print('[1]'); print('7')""").finish() == "m1"
    with pytest.raises(NotTrained, match="without an answer"):
        child("print('goodbye')").finish()


def test_a_child_that_fails_gives_its_last_line() -> None:
    with pytest.raises(NotTrained, match=r"the model of 2024-01-01 was not trained: ValueError: too few bars"):
        child("raise ValueError('too few bars')").finish()


def test_a_child_whose_forecaster_says_more_than_a_pipe_holds_comes_to_its_end() -> None:
    said = "import sys; print('x' * 300_000); print('y' * 300_000, file=sys.stderr)"
    training = child(f"""{said}; print('{{"model_id": "m", "damaged": {{}}}}')""")
    training.process.wait(60)
    assert training.is_done
    assert training.finish() == "m"


def test_a_child_that_dies_without_a_word_is_no_model_either() -> None:
    with pytest.raises(NotTrained, match="no reason given"):
        child("import os; os._exit(9)").finish()


def test_a_training_in_progress_is_stopped() -> None:
    training = child("import time; time.sleep(600)")
    assert not training.is_done
    training.stop()
    assert training.is_done
    training.stop()
