"""Whether bytes are UTF-8, and how many characters, without making a string of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel

__all__ = ["utf8_characters"]

_TOGETHER = 128  # bytes in vector registers; with 64 it takes twice as long
_CHUNK = np.uint64(_TOGETHER)
_1 = np.uint64(1)


@bare_kernel
def utf8_characters(data: Any) -> int:
    """Return the number of characters of *data* (bytes), or -1 if they are not UTF-8.

    As Python has it: no surrogates, no longer forms than needed, nothing above U+10FFFF, nothing cut at the end.
    """
    size = np.uint64(data.size)
    at = count = np.uint64(0)  # unsigned, so that an index is no offset from the end and the loops need not ask
    while at < size:
        if at + _CHUNK <= size:
            high = np.uint8(0)
            for place in range(_TOGETHER):
                high |= data[at + np.uint64(place)]
            if high < 128:
                at += _CHUNK
                count += _CHUNK
                continue
        end = min(at + _CHUNK, size)
        while at < end:
            byte = data[at]
            if byte < 0x80:
                at += _1
                count += _1
                continue
            if 0xC2 <= byte < 0xE0:
                length, lowest, highest = 2, 0x80, 0xBF
            elif 0xE0 <= byte < 0xF0:
                length, lowest, highest = 3, 0xA0 if byte == 0xE0 else 0x80, 0x9F if byte == 0xED else 0xBF
            elif 0xF0 <= byte < 0xF5:
                length, lowest, highest = 4, 0x90 if byte == 0xF0 else 0x80, 0x8F if byte == 0xF4 else 0xBF
            else:
                return -1
            if at + np.uint64(length) > size or not lowest <= data[at + _1] <= highest:
                return -1
            for place in range(2, length):
                if data[at + np.uint64(place)] & 0xC0 != 0x80:
                    return -1
            at += np.uint64(length)
            count += _1
    return np.int64(count)
