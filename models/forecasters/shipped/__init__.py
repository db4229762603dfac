"""Forecasters that come with the project, each through the port that users have."""
