"""Lines of a log that is written, moved aside and followed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from forwardtrader.core import log
from forwardtrader.reports.logs.log_file import lines

LOG = log.logger("core")


class Over(Exception):
    """Nothing more is written."""


def number_of(line: bytes) -> int:
    return int(line.rpartition(b": ")[2].rstrip(b"}"))


def until_over(found: Iterator[bytes]) -> Iterator[bytes]:
    with suppress(Over):
        yield from found


def test_full_files_are_read_before_the_one_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with log.log_to(path, most_bytes=1000):
        for number in range(40):
            log.event(LOG, "counted", number=number)
    assert [number_of(line) for line in lines(path)] == list(range(40))


def test_there_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(lines(tmp_path / "log.jsonl"))


@pytest.mark.parametrize("at_once", [1, 7, 30])
def test_a_log_is_followed_through_every_move(tmp_path: Path, at_once: int) -> None:
    """Also where it is moved several times between two looks."""
    path, written = tmp_path / "log.jsonl", 0
    with log.log_to(path, most_bytes=1000):
        log.event(LOG, "counted", number=-1)

        def wait() -> None:
            nonlocal written
            if written >= 90:
                raise Over
            for number in range(written, written + at_once):
                log.event(LOG, "counted", number=number)
            written += at_once

        seen = [number_of(line) for line in until_over(lines(path, wait=wait))]
    assert seen == list(range(-1, written))


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\ntw")

    def wait() -> None:
        if path.read_bytes() != b"one\ntw":
            raise Over
        path.write_bytes(b"one\ntwo\nthree\n")

    assert list(until_over(lines(path, wait=wait))) == [b"one", b"two", b"three"]
