"""The words of a command line: a wrong one is answered with one line, as every other mistake is."""

from __future__ import annotations

import argparse
from typing import NoReturn

from forwardtrader.core.config import nearest
from forwardtrader.core.errors import ConfigError


class FlagParser(argparse.ArgumentParser):
    """Raises ConfigError, which names the nearest flag, where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        flags = [flag for action in self._actions for flag in action.option_strings]
        stray = next((word for word in message.split() if word.startswith("-")), "")
        raise ConfigError(f"{message}{nearest(stray.split('=')[0], flags) if 'unrecognized' in message else ''}; see --help")
