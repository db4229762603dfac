"""How every command starts, finds its project, and ends."""
