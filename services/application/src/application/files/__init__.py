"""Files that people upload: routes, store, names."""
