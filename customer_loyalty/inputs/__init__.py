"""Files of raw rows: found in a folder, checked, and read as text with file and row number."""
