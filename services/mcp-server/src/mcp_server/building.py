"""Builds one version of a data set: a folder with its rows, and an index of their keys."""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
from pydantic import BaseModel

from common.departments import Dataset
from mcp_server import key_index, loading, table_file
from mcp_server.errors import BrokenObject

MANIFEST: Final = "manifest.json"
TABLE: Final = "table.arrow"
FORMAT: Final = 1
"""Of the files; a version in another one is built anew."""

INDEX_BYTES: Final = 17
"""Most that the indexes of the keys take for one row."""

MEGABYTE: Final = 1_000_000


class Manifest(BaseModel):
    """What a folder has.

    Attributes:
        version: The object's ETag.
        loaded_at: When it was built, in seconds since the epoch.
        row_count: Rows of the object.
        blank_keys: Rows that are not served, because they have no key.
        duplicate_keys: Rows that are not served, because an earlier row has their key.
    """

    format: int
    object: str
    key: str
    version: str
    loaded_at: float
    row_count: int
    blank_keys: int
    duplicate_keys: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a build goes by.

    Attributes:
        free_bytes: How much more can be written.
        read_share: How much of the object was read, 0 to 1.
    """

    free_bytes: Callable[[], int]
    read_share: Callable[[], float]


def build(spec: Dataset, version: str, source: BinaryIO, folder: Path, limits: Limits) -> None:
    """Fill a folder with what `DataTable` opens.

    Raises:
        BrokenObject: The object cannot be served, or there is not enough disk or memory to build it.
    """
    try:
        schema, batches = loading.read(spec.object, source)
        check_columns(spec, schema.names)
        rows = table_file.write(folder / TABLE, schema, _fitting(spec, batches, limits))
        keys = table_file.read(folder / TABLE)[spec.key]
        blank, duplicate = key_index.build(folder, keys, rows)
    except MemoryError as error:
        raise BrokenObject(f"{spec.object} needs more memory than the server has: write smaller rows") from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise BrokenObject(f"{spec.object} does not fit: the server's disk is full") from error
    if rows == blank:
        raise BrokenObject(f"{spec.object} has no row with a key in {spec.key}")
    manifest = Manifest(
        format=FORMAT,
        object=spec.object,
        key=spec.key,
        version=version,
        loaded_at=time.time(),
        row_count=rows,
        blank_keys=blank,
        duplicate_keys=duplicate,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())


def check(spec: Dataset, file: Path) -> None:
    """See that a file can be served.

    Raises:
        BrokenObject: It cannot.
    """
    with tempfile.TemporaryDirectory() as folder, file.open("rb") as source:
        free_bytes = shutil.disk_usage(folder).free
        build(spec, "", source, Path(folder), Limits(lambda: free_bytes, lambda: 1))


def is_of(spec: Dataset, folder: Path) -> bool:
    """Whether a folder has a version of this data set."""
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    return (manifest.format, manifest.object, manifest.key) == (FORMAT, spec.object, spec.key)


def check_columns(spec: Dataset, names: Collection[str]) -> None:
    """See that there are the columns that the Department names.

    Raises:
        BrokenObject: One is missing.
    """
    missing = [name for name in (spec.key, *spec.search) if name not in names]
    public = [name for name in missing if name not in spec.restricted_columns]
    if public:
        raise BrokenObject(f"{spec.object} lacks the column {', '.join(public)}")
    if missing or not set(spec.restricted_columns) <= set(names):
        # The message is for everyone who may use the department; the names of restricted columns are not.
        raise BrokenObject(f"{spec.object} lacks a column that is named in restrictedColumns")


def _fitting(spec: Dataset, batches: Iterable[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    """The batches, as long as there is room for them."""
    room = limits.free_bytes()
    needed = 0
    for batch in batches:
        needed += batch.nbytes + INDEX_BYTES * batch.num_rows
        if needed > room:
            in_all = needed / max(limits.read_share(), 0.01)
            raise BrokenObject(
                f"{spec.object} does not fit: it needs about {in_all / MEGABYTE:,.0f} MB on the server's disk, and "
                f"{room / MEGABYTE:,.0f} MB are free. Raise spec.server.storage in the Department."
            )
        yield batch
