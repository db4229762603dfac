"""From results to something a person can judge."""
