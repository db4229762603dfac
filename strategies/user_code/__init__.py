"""A user's strategy as code: found, given parameters, and told apart from ours where it fails."""
