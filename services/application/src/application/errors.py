"""What can go wrong between the API, the worker and what they stand on, named for the fact.

Conflict             a conditional write found another state than it expected
Fenced               a job belongs to another attempt now, or is finished
ObjectGone           an object is not in the bucket (any more)
UploadGone           a multipart upload is not in the bucket (any more)
InvalidParts         a multipart upload cannot be put together from the parts that were named
TooSlow, TooLarge    a request's body comes too slowly, or does not end where it should
DepartmentRefused    a department does not let this caller in (is a DepartmentUnavailable to the engine)
CannotRepair         a review of keys that were not found cannot be carried out
"""

from application.engine import DepartmentUnavailable


class Conflict(Exception):
    """The item is not in the state that the write was conditional on."""


class Fenced(Exception):
    """The job belongs to another attempt now, or is finished: what this attempt did counts for nothing."""


class ObjectGone(Exception):
    """There is no such object."""


class UploadGone(Exception):
    """There is no such multipart upload."""


class InvalidParts(Exception):
    """The parts that were named are not those that were uploaded."""


class TooSlow(Exception):
    """The body comes too slowly to wait for it."""


class TooLarge(Exception):
    """The body is larger than it may be."""


class DepartmentRefused(DepartmentUnavailable):
    """The department does not let this caller in."""


class CannotRepair(Exception):
    """The review cannot be carried out; the message says why, in words for the caller."""
