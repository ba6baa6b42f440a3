"""The simple commands in a block of shell, as far as documents use the shell."""

import re
import shlex
from collections.abc import Iterator

HERE_DOCUMENT = re.compile(r"<<-?\s*'?(\w+)'?([^\n]*)\n.*?^\1$", re.MULTILINE | re.DOTALL)
SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
KEYWORDS = {"do", "done", "if", "then", "else", "fi", "while", "!", "{", "}"}


def commands(text: str) -> Iterator[list[str]]:
    """Each command with its arguments; without assignments before it and without redirections."""
    text = HERE_DOCUMENT.sub(r"\2", text).replace("\\\n", " ")
    while found := SUBSTITUTION.search(text):
        yield from commands(found[1])
        text = text[: found.start()] + "_" + text[found.end() :]
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        yield from _simple(list(lexer))


def _simple(words: list[str]) -> Iterator[list[str]]:
    yield from (words for words in _split(words) if words[0] != "for")


def _split(words: list[str]) -> Iterator[list[str]]:
    current: list[str] = []
    skip = False
    for word in words:
        if set(word) <= set(";|&") and word:
            if current:
                yield current
            current = []
        elif set(word) <= set("<>&") and word:
            skip = True
            if current and current[-1].isdigit():
                current.pop()  # the 2 of 2>
        elif skip:
            skip = False
        elif not current and (word in KEYWORDS or ASSIGNMENT.fullmatch(word)):
            continue
        else:
            current.append(word)
    if current:
        yield current
