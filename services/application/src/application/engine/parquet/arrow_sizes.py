"""How many bytes each row of an Arrow array takes once it is unpacked, told without unpacking it.

A dictionary, run ends and views name a value many times that is held once: a text of a megabyte and a million rows of
it take a megabyte as they are, and a terabyte as plain text (Arrow columnar format, 1.5: "Dictionary-encoded Layout",
"Run-End Encoded Layout", "ListView Layout", "Variable-size Binary View Layout").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Sizes = npt.NDArray[np.int64]


def row_sizes(array: pa.Array) -> Sizes:
    """Bytes of each row's values, those of lists and structs included; 0 for null texts and lists."""
    kind: Any = array.type
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _taken(row_sizes(array.dictionary), array.indices)
    if is_.is_run_end_encoded(kind):
        ends = np.minimum(np.asarray(array.run_ends)[array.find_physical_offset() :] - array.offset, len(array))
        runs = np.diff(ends[: array.find_physical_length()], prepend=0)
        values = array.values.slice(array.find_physical_offset(), array.find_physical_length())
        return np.repeat(row_sizes(values), runs)
    if isinstance(array, pa.ExtensionArray):
        return row_sizes(array.storage)
    if is_.is_struct(kind):
        return sum((row_sizes(field) for field in array.flatten()), np.zeros(len(array), np.int64))
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_map(kind):
        offsets = np.asarray(array.offsets).astype(np.int64)
        return _between(row_sizes(_values(array)), offsets[:-1], offsets[1:])
    if is_.is_fixed_size_list(kind):
        starts = (np.arange(len(array)) + array.offset) * kind.list_size
        return _between(row_sizes(array.values), starts, starts + kind.list_size)
    if is_.is_list_view(kind) or is_.is_large_list_view(kind):
        starts = np.asarray(array.offsets).astype(np.int64)
        return _between(row_sizes(array.values), starts, starts + np.asarray(array.sizes).astype(np.int64))
    if is_.is_string_view(kind) or is_.is_binary_view(kind):
        # Sixteen bytes for each value, of which the first four are its length.
        views = np.frombuffer(array.buffers()[1], np.int32)[0::4]
        return views[array.offset : array.offset + len(array)].astype(np.int64)
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_binary(kind) or is_.is_large_binary(kind):
        return _plain(pc.fill_null(pc.binary_length(array), 0))
    if is_.is_null(kind):
        return np.zeros(len(array), np.int64)
    return np.full(len(array), max(1, kind.bit_width // 8), np.int64)


def _values(array: Any) -> pa.Array:
    """The values of a list or map, from the first of its buffers and not from the first of the slice."""
    return (
        pa.StructArray.from_arrays([array.keys, array.items], ["k", "v"])
        if pa.types.is_map(array.type)
        else array.values
    )


def _taken(sizes: Sizes, indices: pa.Array) -> Sizes:
    if not len(sizes):
        return np.zeros(len(indices), np.int64)
    present = np.asarray(indices.is_valid())
    taken: Sizes = sizes[np.where(present, _plain(pc.fill_null(indices, 0)), 0)] * present
    return taken


def _between(sizes: Sizes, starts: Sizes, ends: Sizes) -> Sizes:
    until = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    between: Sizes = until[ends] - until[starts]
    return between


def _plain(array: pa.Array) -> Sizes:
    values: Sizes = np.asarray(array).astype(np.int64)
    return values
