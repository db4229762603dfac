"""A practice exchange on loopback: matching engine, market, venue protocols, and switches for what goes wrong."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
