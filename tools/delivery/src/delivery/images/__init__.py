"""Builds every service's image with what is on this machine, and says what is in it."""

from delivery.images.record import Image, archives

__all__ = ["Image", "archives"]
