"""Conditions of a request on a resource that has an entity tag (RFC 9110, section 13)."""

import re

from common.problem import Problem

_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def require_match(if_match: str | None, etag: str) -> None:
    """Let a request pass only if the client has seen this version.

    Raises:
        Problem: 412, if the header names other versions only (strong comparison: a weak tag never matches).
    """
    if if_match is None or if_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_match):
        return
    detail = f"The content is not the version that If-Match names; its entity tag is {etag}."
    raise Problem(412, "precondition-failed", "The content is another version", detail, {"etag": etag})


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has this version already (weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in _ENTITY_TAG.findall(if_none_match)}
