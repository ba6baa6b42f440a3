"""The REST interface, forwarded to the application."""
