"""A Python client for the File Processing System, and its command, fileproc."""

from fileproc.client import Client
from fileproc.errors import FileprocError

__all__ = ["Client", "FileprocError"]
