"""The venue as ccxt shows it: client, errors, queries with retry, keys and their rights."""
