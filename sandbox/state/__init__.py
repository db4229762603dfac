"""The exchange's state on disk: what changed is written before an answer leaves, and read again at the next start."""
