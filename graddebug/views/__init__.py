"""What there is to see in a recording, as frozen rows of plain values.

Pure functions from a `Recording` live here. The text twin (`graddebug.report.show`) and the
terminal UI both draw from them, so that the two cannot disagree. No torch, no Textual, no printing.
"""
