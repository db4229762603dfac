"""How fast, side by side with what a user would pick instead."""

import core as core  # ends a command that is run by a Python without the packages in one line
