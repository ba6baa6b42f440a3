"""Recipes: choices for a file that are kept under a name, to be used again."""
