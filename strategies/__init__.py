"""From forecasts to orders."""

import core as core  # ends a command that is run by a Python without the packages in one line
