"""Watchdog, alerts and status of a running session."""
