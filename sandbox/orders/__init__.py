"""Orders and the rules of their life: admission, matching, settlement. Pure."""
