"""A Python client for the File Processing System, and its command, fileproc."""
