"""Orders and their rules: admission, matching, settlement. Pure, without input or output."""
