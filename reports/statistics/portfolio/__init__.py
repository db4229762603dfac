"""What an account is made of: what each symbol and side contributed, and how much money it would carry."""
