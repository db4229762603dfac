"""Parameters that change while one account runs on: who is in charge from when, and how one hands over to the next."""
