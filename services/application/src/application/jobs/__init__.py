"""Jobs: routes, store, mapping, progress, results."""
