"""From the bytes of a file to a table: archives, encodings, text, JSON and columnar formats. What a column means is decided later."""
