"""Files of raw rows: find them in a folder, check them, and read them as text with row numbers."""
