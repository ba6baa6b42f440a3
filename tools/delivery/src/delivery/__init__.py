"""Builds the images, and moves their versions through the environments."""
