"""How much of each block a page also gives as structured data, by runs of three words."""

from __future__ import annotations

from typing import Any

from corpusmill.stages.kernels import bare_kernel, inner
from corpusmill.stages.kernels.html_blocks import next_word
from corpusmill.stages.kernels.html_layout import B_PIECE, B_PIECES, P_BEGIN, P_END, P_KIND, RAW_TEXT
from corpusmill.stages.kernels.html_tags import HASH_MASK

__all__ = ["collect_runs", "declared_shares"]

_FACTOR = 0x9E3779B1


@inner
def _run(one: int, two: int, three: int) -> int:
    return ((((one * 31 + two) & HASH_MASK) * 31 + three) & HASH_MASK) * _FACTOR & HASH_MASK | 1


@bare_kernel
def collect_runs(text: Any, runs: Any) -> int:
    """Enter the runs of three words of *text* (UTF-8) into the hash table *runs* (0: free), and return how many there are."""
    last = runs.size - 1
    one = two = at = count = 0
    while 2 * count < runs.size:
        at, three = next_word(text, at, text.size)
        if three == 0:
            break
        if one:
            run = _run(one, two, three)
            place = run & last
            while runs[place] != 0 and runs[place] != run:
                place = (place + 1) & last
            if runs[place] == 0:
                runs[place] = run
                count += 1
        one, two = two, three
    return count


@bare_kernel
def declared_shares(page: Any, blocks: Any, pieces: Any, runs: Any, shares: Any) -> int:
    """Write to *shares* which part of the runs of each block are in *runs*, and return how many there are in all.

    A block of less than three words has the share of the block before it.
    """
    last = runs.size - 1
    found_in_all = 0
    before = 0.0
    for row in range(blocks.shape[0]):
        one = two = found = count = 0
        for piece in range(blocks[row, B_PIECE], blocks[row, B_PIECES]):
            if pieces[piece, P_KIND] > RAW_TEXT:
                continue
            at, end = pieces[piece, P_BEGIN], pieces[piece, P_END]
            while True:
                at, three = next_word(page, at, end)
                if three == 0:
                    break
                if one:
                    run = _run(one, two, three)
                    place = run & last
                    while runs[place] != 0 and runs[place] != run:
                        place = (place + 1) & last
                    count += 1
                    found += runs[place] == run
                one, two = two, three
        if count:
            before = found / count
        shares[row] = before
        found_in_all += found
    return found_in_all
