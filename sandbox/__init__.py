"""A practice exchange on loopback: matching engine, market, venue protocols, and switches for what goes wrong."""
