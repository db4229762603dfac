"""Where the practice exchange takes its prices from, and how it plays them."""
