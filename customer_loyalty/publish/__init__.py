"""The publish: one consistent set of marts replaces the one before it."""
