"""What the command `fileproc` does, a module for each group of its commands."""
