"""The matching engine over all symbols: accounts, perpetuals, funding and the events it publishes."""
