"""Arrow string arrays as the plain arrays that kernels take, without copying the text.

Kernels are compiled for one combination of argument types, so every kind of string array (String, LargeString, StringView,
dictionary encoded, sliced, with nulls) is brought to the same one here: bytes, and where each text starts and ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["TextBuffers", "large_strings", "text_buffers"]


class TextBuffers(NamedTuple):
    """The bytes of all texts, and the bounds of each: text *i* is `data[starts[i]:ends[i]]`; all arrays are read-only."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def large_strings(texts: Any) -> pa.LargeStringArray:
    """Return *texts*, an Arrow array of strings of whatever type, as large strings; bytes that are not UTF-8 stay as they are."""
    try:
        return texts.cast(pa.large_string())
    except pa.ArrowNotImplementedError:  # string views before pyarrow 18
        buffers = (text.as_buffer() for text in texts)
        raw = pa.array([None if buffer is None else bytes(buffer) for buffer in buffers], pa.large_binary())
        return pa.Array.from_buffers(pa.large_string(), len(raw), raw.buffers())


def text_buffers(texts: Any) -> TextBuffers:
    """Return the buffers of *texts*, an Arrow array of strings; a null is an empty text.

    The bytes are not looked at: they may be invalid UTF-8. Offsets are: what leads outside of the bytes raises ValueError.
    """
    texts = large_strings(texts)
    _, offsets, data = texts.buffers()
    bounds = np.zeros(1, np.int64) if offsets is None or not len(texts) else np.frombuffer(offsets, np.int64)
    bounds = bounds[texts.offset if len(bounds) > 1 else 0 :][: len(texts) + 1]
    content = np.frombuffer(data or b"", np.uint8)
    starts, ends = bounds[:-1], bounds[1:]
    if texts.null_count:
        # What lies under a null is undefined, and need not be empty.
        ends = np.where(np.asarray(texts.is_valid()), ends, starts)
    if len(texts) and (int(bounds[0]) < 0 or int(bounds[-1]) > content.size or bool((starts > bounds[1:]).any())):
        raise ValueError("the offsets of a string array lead outside of its bytes: the Arrow data is damaged")
    return TextBuffers(*(_plain(array) for array in (content, starts, ends)))


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return *array* read-only and aligned, the one form that kernels are compiled for."""
    view: npt.NDArray[Any] = np.require(array, requirements=["C", "A"]).view()
    view.flags.writeable = False
    return view
