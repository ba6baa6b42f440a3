"""What all routes share: who calls, bodies, errors, representations."""
