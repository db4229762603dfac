"""Sockets, send queues and the request log."""
