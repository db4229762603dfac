"""Limits on a whole account, held for every strategy: active, reducing, halted."""
