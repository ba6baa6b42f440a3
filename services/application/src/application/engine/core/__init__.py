"""What the formats share: keys, look-ups, added cells, the report."""
