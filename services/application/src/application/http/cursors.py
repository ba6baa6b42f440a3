"""Places in a list, as texts that a caller gives back to get the next page."""

from __future__ import annotations

import base64
import binascii
import re

from common.problem import Problem

_PLACE = re.compile(r"[A-Z]+#[0-9TZ:.-]{20,40}#[0-9a-f]{32}")


def cursor_of(place: str | None) -> str | None:
    """The cursor for a place; None where the list has ended."""
    return None if place is None else base64.urlsafe_b64encode(place.encode()).decode()


def place_of(cursor: str | None, prefix: str) -> str | None:
    """The place that a cursor of a list with this prefix stands for.

    Raises:
        Problem: No answer of this list gave the cursor.
    """
    if cursor is None:
        return None
    try:
        place = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, ValueError):
        place = ""
    if not _PLACE.fullmatch(place) or not place.startswith(prefix):
        detail = "The cursor is not one that an earlier answer gave as `next`."
        raise Problem(422, "invalid-cursor", "The cursor cannot be used", detail, field="cursor")
    return place
