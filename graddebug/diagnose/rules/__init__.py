"""One rule a file, named by its slug. The registry walks this folder."""
