"""Two lists of Kubernetes objects, and how they differ; what a Secret holds is never told."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

Object = dict[str, Any]
HIDDEN = "(hidden)"
HIDDEN_OTHER = "(hidden, another value)"
# The password of an address.
USER_INFO = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # may repeat a Secret
CONTEXT_LINES = 3


@dataclass(frozen=True)
class Change:
    """One object that differs.

    Attributes:
        kind: `changed`, `added` or `removed`.
        name: Kind and name, with the namespace where it has one.
        difference: A unified diff of its YAML.
    """

    kind: str
    name: str
    difference: str


def changes(before: Iterable[Object], after: Iterable[Object]) -> list[Change]:
    """The objects that are added, removed or changed, sorted by kind and name."""
    old = {_key(each): each for each in before}
    new = {_key(each): each for each in after}
    found = []
    for key in sorted({*old, *new}):
        left, right = old.get(key), new.get(key)
        if left == right:
            continue
        kind = "added" if left is None else "removed" if right is None else "changed"
        shown = _without_secrets(left, right)
        difference = difflib.unified_diff(_dump(shown[0]), _dump(shown[1]), n=CONTEXT_LINES, lineterm="")
        found.append(Change(kind, _name(key), "\n".join(list(difference)[2:])))
    return found


def _key(manifest: Object) -> tuple[str, str, str, str]:
    """What makes it the same object; the version of its API does not."""
    metadata = manifest.get("metadata", {})
    group = manifest["apiVersion"].rpartition("/")[0]
    return manifest["kind"], metadata.get("namespace", ""), metadata.get("name", ""), group


def _name(key: tuple[str, str, str, str]) -> str:
    kind, namespace, name, _ = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _dump(manifest: Object | None) -> list[str]:
    if manifest is None:
        return []
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=1_000_000)
    return USER_INFO.sub(HIDDEN, text).splitlines()


def _without_secrets(left: Object | None, right: Object | None) -> tuple[Object | None, Object | None]:
    """Both sides with what a Secret holds replaced, so that it shows which keys changed and nothing else."""
    sides = [None if side is None else dict(side) for side in (left, right)]
    if not any(side and side["kind"] == "Secret" for side in sides):
        return sides[0], sides[1]
    for field in ("data", "stringData"):
        old, new = ((side or {}).get(field) or {} for side in sides)
        if sides[0] and old:
            sides[0][field] = dict.fromkeys(old, HIDDEN)
        if sides[1] and new:
            same = {key for key in new if key in old and old[key] == new[key]}
            sides[1][field] = {key: HIDDEN if key in same or key not in old else HIDDEN_OTHER for key in new}
    for side in sides:
        metadata = (side or {}).get("metadata", {})
        if side and LAST_APPLIED in (metadata.get("annotations") or {}):
            annotations = {**metadata["annotations"], LAST_APPLIED: HIDDEN}
            side["metadata"] = {**metadata, "annotations": annotations}
    return sides[0], sides[1]
