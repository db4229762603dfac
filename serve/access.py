"""Who may come in: whoever knows the token, which lies in a file of the user's own.

The token is typed once, as part of the address that the command prints. What a browser is given for it is derived from it, so that
neither a cookie nor a page tells the token.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Final

from forwardtrader.core.atomic import private_file, private_folder

TOKEN_FILE: Final = Path("var/serve/token")
_LEAST: Final = 32  # characters


class Access:
    """Judges tokens, cookies and form tokens, each in a time that does not depend on what is offered."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.cookie_name = f"forwardtrader_{self._derived('name')[:12]}"  # cookies are shared by all ports of a machine
        self.cookie = self._derived("cookie")
        self.form_token = self._derived("form")

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.token.encode(), purpose.encode(), "sha256").hexdigest()

    def is_token(self, offered: str) -> bool:
        """Whether this is the token."""
        return _equal(offered, self.token)

    def is_cookie(self, offered: str) -> bool:
        """Whether this is what a browser was given that had the token."""
        return _equal(offered, self.cookie)

    def is_form_token(self, offered: str) -> bool:
        """Whether this came from a page of ours."""
        return _equal(offered, self.form_token)


def _equal(offered: str, held: str) -> bool:
    return hmac.compare_digest(offered.encode("utf-8", "surrogatepass"), held.encode())


def kept_token(path: Path, *, anew: bool = False) -> str:
    """The token in a file that only its owner may read; made where there is none, or none that is one.

    Raises:
        ConfigError: the file belongs to another user.
    """
    private_folder(path.parent)
    private_file(path)
    found = path.read_text(encoding="utf-8", errors="replace").strip()
    if anew or len(found) < _LEAST or not found.isascii() or not found.isprintable() or " " in found:
        found = secrets.token_urlsafe(_LEAST)
        path.write_text(found + "\n", encoding="utf-8")
    return found
