"""How the parts of an Office file refer to each other."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from xml.parsers.expat import ExpatError

from application.engine.office.archive import Archive
from application.engine.office.xml import UnsafeXml, elements

Relations = dict[str, tuple[str, str]]
"""Kind (``worksheet``) and target part of each relationship, by its identifier."""


@contextmanager
def readable(archive: Archive, part: str) -> Iterator[None]:
    """Makes an ``InputError`` of XML that cannot be read."""
    try:
        yield
    except (ExpatError, UnsafeXml) as error:
        raise archive.corrupt(f"{part}: {error}") from None
    except (ValueError, IndexError, KeyError, ArithmeticError):
        raise archive.corrupt(f"{part} is not written as it has to be") from None


def main_part(archive: Archive, usual: str) -> str:
    """The part that the others hang on; ``usual`` where the file does not say."""
    root = _relations(archive, "_rels/.rels", "")
    found = next((target for kind, target in root.values() if kind == "officeDocument"), usual)
    return archive.find(found) or found


def relations_of(archive: Archive, part: str) -> Relations:
    """The parts that ``part`` refers to."""
    folder, name = posixpath.split(part.replace("\\", "/"))
    return _relations(archive, posixpath.join(folder, "_rels", f"{name}.rels"), folder)


def _relations(archive: Archive, part: str, folder: str) -> Relations:
    with readable(archive, part):
        found = [attributes for kind, attributes in elements(archive.chunks(part)) if kind == "Relationship"]
    return {
        attributes["Id"]: (
            posixpath.basename(attributes.get("Type", "")),
            _resolve(archive, folder, attributes.get("Target", "")),
        )
        for attributes in found
        if "Id" in attributes
    }


def _resolve(archive: Archive, folder: str, target: str) -> str:
    target = target.replace("\\", "/")
    path = target.removeprefix("/") if target.startswith("/") else posixpath.join(folder, target)
    return archive.find(posixpath.normpath(path)) or posixpath.normpath(path)
