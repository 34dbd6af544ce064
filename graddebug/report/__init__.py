"""Findings and views, said: one file a format. Nothing here reads a recording or judges one."""
