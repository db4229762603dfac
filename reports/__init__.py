"""From results to something a person can judge."""

import core as core  # ends a command that is run by a Python without the packages in one line
