"""Stop means stop: kill, pause and flatten are carried out whatever the session itself does."""
