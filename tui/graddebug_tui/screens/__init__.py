"""One screen a file; all share the app's recording and its step cursor."""
