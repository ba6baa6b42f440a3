"""Markdown that fits a comment on GitHub, whatever is to be told."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LIMIT = 65_536
"""Characters that the body of a comment or pull request may have: GitHub refuses more."""
NAMES_LIMIT = 4_000
SMALLEST_PART = 400


@dataclass(frozen=True)
class Section:
    """A part that can be folded away.

    Attributes:
        group: Its heading; sections of one group follow each other.
        title: What stands there when it is folded.
        body: Shown as it is, in a block of code.
        language: Of that block.
    """

    group: str
    title: str
    body: str
    language: str


def block(body: str, language: str) -> str:
    """A block of code; its fence is longer than any that the body has, so that the body cannot end it."""
    ticks = max((len(run) for run in re.findall(r"`{3,}", body)), default=2) + 1
    fence = "`" * ticks
    return f"{fence}{language}\n{body}\n{fence}"


def report(title: str, summary: str, sections: Iterable[Section], limit: int = LIMIT) -> str:
    """Heading, summary, then the sections; those for which there is no room are named at the end.

    `limit` is in characters; the text is never longer.
    """
    head = cut(f"### {title}\n\n{summary}", limit // 4)
    room = limit - len(head) - NAMES_LIMIT
    parts: list[str] = [head]
    left_out: list[Section] = []
    group = None
    for section in sections:
        heading = "" if section.group == group else f"\n\n#### {section.group}"
        text = heading + _folded(section, room - len(heading))
        if left_out or len(text) > room:
            left_out.append(section)
            continue
        parts.append(text)
        room -= len(text)
        group = section.group
    if left_out:
        parts.append(_names(left_out))
    return "".join(parts)


def cut(text: str, limit: int) -> str:
    """A text of at most that many characters, cut at the end of a line, with how much is missing."""
    if len(text) <= limit:
        return text
    lines = text.splitlines()
    notice = f"… cut here: {len(lines)} lines in all"
    kept: list[str] = []
    room = limit - len(notice)
    for line in lines:
        if len(line) + 1 > room:
            break
        kept.append(line)
        room -= len(line) + 1
    return "\n".join([*kept, notice])


def _folded(section: Section, room: int) -> str:
    before = f"\n\n<details><summary>{_escape(section.title)}</summary>\n\n"
    after = "\n\n</details>"
    # Fences and language, generously.
    fence = 2 * max((len(run) for run in re.findall(r"`{3,}", section.body)), default=3) + 20
    body_room = max(room - len(before) - len(after) - fence, SMALLEST_PART)
    return before + block(cut(section.body, body_room), section.language) + after


def _names(sections: list[Section]) -> str:
    head = f"\n\n**{len(sections)} more do not fit into a comment**; `python -m delivery.rendered` prints them:\n\n"
    listed = "\n".join(f"- {section.group}: {section.title}" for section in sections)
    return head + cut(listed, NAMES_LIMIT - len(head))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
