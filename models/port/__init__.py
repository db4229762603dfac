"""The port of forecasters: what one is, what it is given, and one form for what it was trained to."""
