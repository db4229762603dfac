"""The recorder: what a venue says while one looks, with the time at which it arrived, in append-only files."""
