"""Candle files of users: formats, time stamps, symbol names, import."""
