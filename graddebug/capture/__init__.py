"""Watching torch: the only room that imports it.

Capture sees, names and measures; it writes events and numbers and judges nothing. Nothing here may
change a number, a random state, a graph or an error of the program it watches.
"""
