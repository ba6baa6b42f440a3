"""What every part of the gateway needs of HTTP: bodies, errors, limits, streams."""
