"""Telegram: alerts that are sent, and control commands that are received."""
