"""What all packages share: types, errors, settings, clock, log, fingerprints."""
