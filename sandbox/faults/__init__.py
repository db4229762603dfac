"""Fault injection: the catalogue of faults, and what applies them to requests, reports, candles and the venue."""
