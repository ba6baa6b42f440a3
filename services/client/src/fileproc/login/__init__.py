"""How somebody proves who they are, and where that is remembered."""
