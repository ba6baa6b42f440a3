"""The REST interface, as the gateway forwards it."""
