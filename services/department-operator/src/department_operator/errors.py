"""What can go wrong while a department is made as it should be."""


class TryAgain(Exception):
    """It did not work this time; the message says why. Tried again, ever more seldom."""


class ApiError(Exception):
    """The API server refused, or did not answer (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        """What it said."""
        super().__init__(message)
        self.status = status
