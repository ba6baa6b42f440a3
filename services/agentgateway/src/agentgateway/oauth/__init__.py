"""Login of programs: the gateway stands between them and the user pool's managed login."""
