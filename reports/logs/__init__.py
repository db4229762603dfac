"""Logs of sessions, runs and commands, read again."""
