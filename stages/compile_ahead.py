"""Kernels compiled before they are needed, by as many processes as there are processors, and kept on disk.

numba compiles in one thread of a process, all kernels of HTML and deduplication in half a minute, once for each machine and
version. Whoever opens a stage with kernels waits here until they are on disk, while processes of their own compile them; they
need nothing of the caller's main module. Of several processes that open stages at once, the first sees to it and the others
wait. Where that is impossible (one processor, no place for files) the process compiles them itself, before a document too.

Rejected: workers that compile what they meet (each of them the same, in the time of a document that has a limit); a pool of
`multiprocessing` (a caller's script without a guard would be started again).
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from corpusmill.stages.text_buffers import TextBuffers

__all__ = ["compile_ahead", "kept_in", "main", "not_compiled", "processors"]


class _Part(NamedTuple):
    """Kernels that are compiled one after the other."""

    last: str
    """Module and name of the one that is compiled last."""
    seconds: float
    """What it takes about, for dividing the work evenly."""
    use: Callable[[], Any]
    """Call all of them, with arguments of the types that they are always called with."""


def compile_ahead(*names: str) -> None:
    """Return when the kernels of the parts can be called at once. Quick the second time."""
    missing = not_compiled(*names)
    cache = _cache(missing[0]) if missing else None
    if cache is not None and processors() > 1:
        with _turn(cache.cache_path):
            _compile_apart(not_compiled(*missing))
        missing = not_compiled(*missing)
    _use(missing)
    _ready.update(names)


def main(names: Sequence[str]) -> None:
    """Compile parts in a process that does nothing else."""
    from corpusmill.stages.kernels.quick_compiling import compile_quickly

    compile_quickly()
    _use(names)


def _use(names: Iterable[str]) -> None:
    """Call all kernels of the parts, in this process: what is not on disk is compiled, and kept if that is possible."""
    for name in names:
        _PARTS[name].use()


def not_compiled(*names: str) -> list[str]:
    """Return the parts that have to be compiled before they run, in this process if not for good."""
    wanted = [name for name in dict.fromkeys(names) if name not in _ready]
    return [name for name in wanted if not ((cache := _cache(name)) and cache.exists)]


def kept_in(name: str) -> str | None:
    """Return the directory that the kernels of a part are kept in; None if they are not."""
    cache = _cache(name)
    return str(cache.cache_path) if cache is not None and cache.exists else None


def _compile_apart(names: list[str]) -> None:
    """Compile parts in processes of their own, as many as there are processors."""
    if not sys.executable or hasattr(sys, "frozen"):  # Python is inside another program, which would start itself again
        return
    shares: list[list[str]] = [[] for _ in range(min(processors(), len(names)))]
    for name in sorted(names, key=lambda name: -_PARTS[name].seconds):
        min(shares, key=lambda share: sum(_PARTS[other].seconds for other in share)).append(name)
    processes: list[subprocess.Popen[bytes]] = []
    nowhere = subprocess.DEVNULL
    # The same places to import from: of itself Python would add the working directory, which may be anybody's files.
    code = (
        f"import sys; sys.path[:] = {sys.path!a}; from corpusmill.stages.compile_ahead import main; main(sys.argv[1:])"
    )
    try:
        for share in shares:
            command = [sys.executable, "-c", code, *share]
            with suppress(OSError):  # no such program
                processes.append(subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere))  # noqa: S603
        for process in processes:
            process.wait()
    finally:
        for process in processes:
            process.kill()


def _cache(name: str) -> Any:
    """Return the cache of the last kernel of a part; None if it has no place on disk."""
    module, kernel = _PARTS[name].last.split(":")
    cache = getattr(getattr(importlib.import_module(f"corpusmill.stages.kernels.{module}"), kernel), "_cache", None)
    return cache if hasattr(cache, "exists") else None


@contextmanager
def _turn(folder: str) -> Iterator[None]:
    """Wait until no other process compiles into *folder*, where the system can tell."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            Path(folder).mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context((Path(folder) / "compiling").open("w")), fcntl.LOCK_EX)
        yield


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read() -> None:
    from corpusmill.stages.encoding import utf8_length
    from corpusmill.stages.html_page import no_class_words, read_page

    utf8_length(b"<p>One")
    read_page(b"<p>One", no_class_words())


def _find() -> None:
    from corpusmill.stages.main_content import content_model, kept_blocks

    kept_blocks(_page(), content_model(), "balanced")


def _write() -> None:
    from corpusmill.stages.main_content import render_text

    render_text(_page(), np.ones(1, np.bool_))


def _write_markdown() -> None:
    from corpusmill.stages.main_content import render_text

    render_text(_page(), np.ones(1, np.bool_), layout="markdown")


def _declare() -> None:
    from corpusmill.stages.html_page import declared_shares
    from corpusmill.stages.page_metadata import page_metadata
    from corpusmill.stages.structured_data import StructuredData

    page = _page()
    page_metadata(page.source, page.marks)
    declared_shares(page._replace(structured=StructuredData(article_bodies=("one",))))


def _page() -> Any:
    """Return tables of a page of one letter, as reading it would give, without the kernels that read."""
    from corpusmill.stages.html_page import HtmlPage
    from corpusmill.stages.kernels import html_layout as layout

    columns = layout.BLOCK_COLUMNS, layout.CONTAINER_COLUMNS
    blocks, containers = (np.zeros((1, count), np.int64) for count in columns)
    blocks[:, [layout.B_CHARACTERS, layout.B_BYTES, layout.B_WORDS]] = 1
    pieces, marks = np.zeros((0, layout.PIECE_COLUMNS), np.int64), np.zeros((0, layout.MARK_COLUMNS), np.int64)
    weights = np.zeros((1, layout.WEIGHT_COLUMNS), np.float32)
    facts, none = np.zeros(layout.PAGE_COLUMNS, np.int64), np.zeros((0, 3), np.int64)
    return HtmlPage(np.frombuffer(b" ", np.uint8), blocks, containers, weights, pieces, marks, facts, none, b" ")


def _sign() -> None:
    import pyarrow as pa

    from corpusmill.stages.signature import band_keys, sketch

    text = pa.array(["one"], pa.large_string())
    band_keys(sketch(text, shingle_words=5, permutations=128, shingles=True).signatures, 20, 6)


def _index() -> None:
    from corpusmill.stages.band_index import BandIndex
    from corpusmill.stages.kernels.jaccard import jaccard

    jaccard(*np.zeros((2, 1), np.uint64))
    keys = np.arange(1, 601, dtype=np.uint64).reshape(3, 200) << np.uint64(40)
    index = BandIndex(3)
    for first in (0, 200):
        index.resolve(keys, first, lambda *_: True)


def _text() -> TextBuffers:
    """Return the buffers of one text."""
    import pyarrow as pa

    from corpusmill.stages.text_buffers import text_buffers

    return text_buffers(pa.array(["one"], pa.large_string()))


def _identify() -> None:
    from corpusmill.stages.pii_candidates import find_candidates, have_candidates

    find_candidates("one")
    have_candidates(_text(), private=False)


def _tell_languages() -> None:
    from corpusmill.stages.language_engines import engine_for

    engine_for("py3langid", 900)(_text())


def _normalize() -> None:
    from corpusmill.stages.normalize_text import NormalizeText
    from corpusmill.stages.text_scan import text_scan

    scan = text_scan(NormalizeText())
    if scan.repair is not None:
        scan.repair("\xe9".encode())
    scan.clean(b"one")


def _find_emoji() -> None:
    from corpusmill.stages.emoji_table import emoji_table

    table = emoji_table("en", words=False, text_symbols=False)
    table.may_have_emoji(_text())
    table.find("one")


def _find_terms() -> None:
    from corpusmill.stages.plausible_languages import LanguageEvidence
    from corpusmill.stages.term_matcher import TermMatcher
    from corpusmill.stages.term_table import count_words

    terms = TermMatcher(["one"], [""])
    terms.texts_with_terms(_text())
    read = terms.read("one")
    LanguageEvidence(read)
    count_words(read.data)


def _measure_quality() -> None:
    from corpusmill.stages.quality_measures import measure_texts

    measure_texts(_text(), ("words", "lines", "page", "repetition"))


def _edit_lines() -> None:
    from corpusmill.stages.quality_measures import edit_texts

    edit_texts(_text(), ("few_words",), uncite=True)


def _find_repeats() -> None:
    from corpusmill.stages.repeated_line_guard import repeated_line_guard

    repeated_line_guard(1)(_text())


def _find_unlisted() -> None:
    from corpusmill.stages.unlisted_words import UnlistedWords, WordForm

    words = UnlistedWords(WordForm("a-z", "a-z", "a-z", "|", 1, 9, 1), ["two"], (), "two".__eq__)
    words.find(_text())
    words.may_be_near("one")


def _encode() -> None:
    import pyarrow as pa

    from corpusmill.stages.kernels.tokens import join, look, samples
    from corpusmill.stages.tokenize import frame_ids
    from corpusmill.stages.tokenizer_engines import Encoded

    buffers = _text()
    found, chosen, table = np.zeros(1, np.uint8), np.zeros(1, np.bool_), np.zeros(0x110000, np.uint8)
    look(*buffers, table, table[: 0x110000 // 64], found)
    samples(*buffers, np.uint64(0), np.zeros(1, np.uint64), chosen)
    join(*buffers, chosen, np.frombuffer(b" ", np.uint8), found)
    for ids, type_ in ((np.uint8, pa.uint16()), (np.uint32, pa.int32()), (np.uint32, pa.uint16())):
        frame_ids(Encoded(np.zeros(3, ids), buffers.starts, buffers.ends), 0, 0, type_)


_PARTS = {
    "html_read": _Part("html_tokens:tokenize", 6, _read),
    "html_find": _Part("html_select:complete_rows", 6.5, _find),
    "html_write": _Part("html_render:render", 3, _write),
    "html_write_markdown": _Part("html_markdown:render_markdown", 4, _write_markdown),
    "html_declare": _Part("html_declared:declared_shares", 2, _declare),
    "normalize": _Part("text_cleaning:clean_blanks", 2.5, _normalize),
    "emoji": _Part("emoji_search:find_emoji", 1.5, _find_emoji),
    "language": _Part("language_model:rank", 6, _tell_languages),
    "repeated_lines": _Part("repeated_lines:may_repeat", 1, _find_repeats),
    "quality_measure": _Part("quality_scan:scan", 4.5, _measure_quality),
    "quality_edit": _Part("quality_lines:edit", 1.5, _edit_lines),
    "terms": _Part("term_symbols:count_words", 3, _find_terms),
    "identifiers": _Part("identifiers:any_candidate", 3, _identify),
    "spelling": _Part("spelling:is_near_common", 3, _find_unlisted),
    "near_sign": _Part("minhash:band_keys", 3, _sign),
    "near_index": _Part("first_wins:decide", 5, _index),
    "tokens": _Part("tokens:frame", 4, _encode),
}

_ready: set[str] = set()
"""Parts that this process knows to be on disk or has compiled itself: nobody need look again for each batch."""
