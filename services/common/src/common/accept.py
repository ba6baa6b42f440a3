"""The Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Mapping


def media_ranges(accept: str) -> dict[str, float]:
    """Each media range of the header, in its order, with its quality from 0 (refused) to 1; parameters are ignored."""
    found: dict[str, float] = {}
    for element in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in element.split(";"))
        if media_range:
            found[media_range] = next((_quality(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
    return found


def quality(ranges: Mapping[str, float], media_type: str) -> float:
    """How much the client wants `media_type`, by the most specific range that covers it; 0 where none does."""
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0


def _quality(value: str) -> float:
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
