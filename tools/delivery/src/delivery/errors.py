"""What a command of this package says instead of a traceback, and how it is run."""

import sys
from collections.abc import Callable


class DeliveryError(Exception):
    """What was asked for cannot be done; the text says what is wrong, where, and what would be right."""


def run(main: Callable[[], int]) -> None:
    """End the process with what `main` returns, or with 1 and the error's text on standard error."""
    try:
        sys.exit(main())
    except DeliveryError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
