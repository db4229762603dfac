"""The account at the venue: submission, journal, reconciliation and risk limits."""
