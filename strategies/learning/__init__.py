"""What an account learns from its own outcomes, bar by bar: what trades cost, what forecasts come to, how far prices move."""
