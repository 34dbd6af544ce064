"""The terminal UI of graddebug: looks at a recording, and needs no torch to do so."""
