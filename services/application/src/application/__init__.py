"""Takes files in, and gives them back enriched: the API and the worker."""
