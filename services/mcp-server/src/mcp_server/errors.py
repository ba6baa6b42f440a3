"""What can go wrong, named for the fact.

ToolError        told to the caller as the tool's result
NotPermitted     the department is not for this caller
NotServed        the department's own file is missing or broken: closed for everyone
ObjectMissing    a data set's object is not in S3 (yet)
BrokenObject     an object is there, and cannot be served
"""


class ToolError(Exception):
    """The tool cannot answer; the message says what was wrong and what would be right."""


class NotPermitted(Exception):
    """The department is not for this caller."""


class NotServed(Exception):
    """The department's file is missing or broken, so nobody can be known to be permitted."""


class ObjectMissing(Exception):
    """No such object in the department's folder."""


class BrokenObject(Exception):
    """The object's bytes are not what its data set needs; the message says why, and holds no data."""
