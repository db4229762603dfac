"""Watchdog, alerts, health and status of a running session."""
