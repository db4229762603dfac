"""The output of a session: tables, page, state store and mirror."""
