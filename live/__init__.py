"""The account and the process: what can lose money or wake somebody."""
