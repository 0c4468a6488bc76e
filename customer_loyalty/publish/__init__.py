"""Publishing: one consistent set of marts replaces the previous one."""
