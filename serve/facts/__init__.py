"""What the pages say, as plain values read from files; nothing here knows of the web."""
