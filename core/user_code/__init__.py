"""What users bring as code: named on the command line, imported here, and its errors told with the user's own line."""
