"""What settings are made of: the manners of every room, and entries that a room has several of."""
