"""The pattern of a data set's keys, read as the API server reads it: by RE2, which takes linear time on any input."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

MAX_MEMORY = 4 << 20


class InvalidPattern(ValueError):
    """Not a regular expression of RE2's; the message says why."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Any:
    """Compile a pattern; the answer has `search` and `fullmatch`, as those of Python's `re`.

    Raises:
        InvalidPattern: It does not compile, or takes too much memory.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        (reason,) = error.args
        raise InvalidPattern(reason.decode() if isinstance(reason, bytes) else reason) from error
