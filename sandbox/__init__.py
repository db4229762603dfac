"""A practice exchange on loopback."""
