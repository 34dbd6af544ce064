"""The commands, one file each. Each module holds a `COMMAND` and imports what it needs when it runs."""
