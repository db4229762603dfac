"""A practice exchange on loopback: matching engine, market data, venue protocols and fault injection."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
