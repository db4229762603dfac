"""Market data of the practice exchange: bar sources, and the driver that plays them."""
