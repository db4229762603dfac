"""What a session writes: tables, pages, the state store and its mirror."""
