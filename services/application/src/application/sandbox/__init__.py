"""Runs the engine in processes of their own, with limits of memory and time for each piece of work.

A file can make a library hold the interpreter's lock, take gigabytes or crash. None of that may reach the process that
serves requests or renews leases. ``Sandbox`` has the engine's operations with the engine's signatures, ``Budget``
bounds one of them, and ``Cancellation`` ends it from another thread.
"""

from application.sandbox.budget import Budget, Cancellation, EngineFailed
from application.sandbox.parent import Sandbox

__all__ = ["Budget", "Cancellation", "EngineFailed", "Sandbox"]
