"""HTML pages and what is drawn on them."""
