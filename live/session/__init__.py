"""One live session: set-up, run, control commands, resume and shutdown."""
