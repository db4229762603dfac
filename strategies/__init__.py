"""Strategies: decision, sizing, risk, order rules and the Backtrader classes."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
