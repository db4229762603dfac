"""The token and what is derived from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.serve.access import Access, kept_token


def test_a_token_is_kept_for_its_owner_alone_and_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "serve" / "token"
    token = kept_token(path)
    assert len(token) >= 32 and kept_token(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_new_token_locks_the_old_one_out(tmp_path: Path) -> None:
    old = kept_token(tmp_path / "token")
    new = kept_token(tmp_path / "token", anew=True)
    assert not Access(new).is_token(old)
    assert not Access(new).is_cookie(Access(old).cookie)


@pytest.mark.parametrize("damaged", [b"", b"short\n", b"\xff\xfe" * 40, b"two words of more than thirty-two letters", b"\0" * 64])
def test_a_damaged_token_is_made_anew(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(damaged)
    path.chmod(0o644)
    found = kept_token(path)
    assert len(found) >= 32 and found.encode() not in damaged
    assert path.stat().st_mode & 0o777 == 0o600


def test_neither_cookie_nor_form_tells_the_token() -> None:
    access = Access("a" * 40)
    assert len({access.token, access.cookie, access.form_token}) == 3
    assert not access.is_token(access.cookie) and not access.is_cookie(access.token) and not access.is_form_token(access.cookie)
    assert access.is_token("a" * 40) and not access.is_token("\udcff") and not access.is_token("")
