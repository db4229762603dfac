"""Reports: statistics, verdict and pages of a run."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
