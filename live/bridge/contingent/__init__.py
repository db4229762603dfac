"""Orders that wait for others: what joins them, when each is sent, and how a restart finds them again."""
