"""Transport: socket connections, their send queues, and the request log. Knows no protocol and no faults."""
