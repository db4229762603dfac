"""A write-ahead log: a file of fixed slots, each written at once, past every cache, and never grown.

Forcing an ordinary file to disk makes the file system commit its journal, and with that whatever other programs wrote meanwhile. A slot
of a file whose blocks exist already needs no such commit: where the system allows it, its bytes go to the device directly and the call
returns when the device has them for good.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from forwardtrader.core.atomic import private_file
from forwardtrader.core.errors import StorageFull

SLOTS: Final = 256
_SLOT: Final = 4096  # what a device writes at once, and the alignment that direct writing asks for
_HEAD: Final = 16  # checksum, sequence number and length of the text
_SIZE: Final = (1 + SLOTS) * _SLOT  # the first slot is for trying whether the file can be written directly


class WriteAheadLog:
    """A ring of the newest `SLOTS` records; each is durable when `put` returns. Not for use by several threads at once.

    Raises:
        StorageFull: the file cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._page = mmap.mmap(-1, _SLOT)  # aligned as direct writing needs it
        try:
            _make(path)
            records = _records(path.read_bytes())
            self._file = _open(path)
        except OSError as error:
            raise StorageFull(f"{path} cannot be written ({error}); free some disk, or make the folder writable") from error
        self.records: list[dict[str, object]] = [record for _, record in records]
        self.next = records[-1][0] + 1 if records else 1

    def put(self, record: Mapping[str, object]) -> int:
        """Make one record durable in place of the oldest; returns its number.

        Raises:
            StorageFull: the device refused; ValueError: the record does not fit into a slot.
        """
        number = self.next
        self._page[:] = _slot(number, record)
        self._write_page(1 + number % SLOTS)
        self.next = number + 1
        return number

    def fits(self, record: Mapping[str, object]) -> bool:
        """Whether a record fits into a slot."""
        return len(_text(record)) <= _SLOT - _HEAD

    def close(self) -> None:
        """A second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write_page(self, place: int) -> None:
        try:
            _write(self._file, self._page, place)
        except OSError as error:
            raise StorageFull(
                f"{self.path} cannot be written ({error}); no order was sent; free some disk, or make the file writable"
            ) from error


_SYNC: Final = getattr(os, "O_DSYNC", 0)


def _open(path: Path) -> int:
    """The file for writing, directly where its file system can: some refuse when it is opened, some at the first write."""
    if direct := getattr(os, "O_DIRECT", 0):
        file = -1
        try:
            file = os.open(path, os.O_WRONLY | _SYNC | direct)
            _write(file, mmap.mmap(-1, _SLOT), 0)
            return file
        except OSError:
            if file >= 0:
                os.close(file)
    return os.open(path, os.O_WRONLY | _SYNC)


def _write(file: int, page: mmap.mmap, place: int) -> None:
    if os.pwrite(file, page, place * _SLOT) != _SLOT:
        raise OSError("the device took a part only")
    if not _SYNC:
        os.fsync(file)


def _make(path: Path) -> None:
    """Write the whole file once, so that its blocks exist; a file cut short by a crash is made whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    private_file(path)
    file = os.open(path, os.O_RDWR)
    try:
        lacking = _SIZE - os.fstat(file).st_size
        if lacking > 0:
            os.pwrite(file, bytes(lacking), _SIZE - lacking)
            os.fsync(file)
            _sync_folder(path.parent)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _text(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _slot(number: int, record: Mapping[str, object]) -> bytes:
    text = _text(record)
    if len(text) > _SLOT - _HEAD:
        raise ValueError(f"a record of {len(text)} bytes does not fit into a slot")
    body = number.to_bytes(8, "little") + len(text).to_bytes(4, "little") + text
    return (zlib.crc32(body).to_bytes(4, "little") + body).ljust(_SLOT, b"\0")


def _records(data: bytes) -> list[tuple[int, dict[str, object]]]:
    """The whole ones, oldest first; a slot that a power cut tore is none."""
    found = []
    for start in range(0, len(data) - _SLOT + 1, _SLOT):
        number, length = int.from_bytes(data[start + 4 : start + 12], "little"), int.from_bytes(data[start + 12 : start + 16], "little")
        body = data[start + 4 : start + _HEAD + length]
        if number and length <= _SLOT - _HEAD and zlib.crc32(body) == int.from_bytes(data[start : start + 4], "little"):
            found.append((number, json.loads(data[start + _HEAD : start + _HEAD + length])))
    return sorted(found, key=lambda pair: pair[0])
