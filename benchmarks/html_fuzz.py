"""Broken pages in great numbers for the HTML tokenizer: nothing may raise, hang, leak a script or take more than linear time.

    python benchmarks/html_fuzz.py [PAGES.jsonl.gz...] [--pages 1000000] [--seed 1] [--workers 1]

The pages are mutations of snippets that use every rule of the tokenizer and, where files of pages are given (read by
`html_pages.py`), of short stretches of real ones. Each is read twice, its tables are checked, and all its text is rendered plain
and as Markdown into memory with a margin that must stay untouched. numba checks no index: set NUMBA_BOUNDSCHECK=1, and
NUMBA_CACHE_DIR to a directory of its own, to have every access checked. A page that fails is printed, the rest goes on, and the
exit status is 1. The same seed gives the same pages, whatever the number of workers.

At the end every interesting token is repeated to 200 and to 400 kB: the time must grow by less than 2.6.
"""

from __future__ import annotations

import argparse
import functools
import random
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from html_pages import evenly_spaced

from corpusmill.stages.html_page import HtmlPage, block_texts, no_class_words, read_page, references
from corpusmill.stages.kernels import html_layout as layout
from corpusmill.stages.kernels import html_markdown, html_render
from corpusmill.stages.main_content import content_model, kept_blocks, render_text

_SECRET = b"zqxsecretxqz"
CLOSING = b"""'>">--></script></style></title></textarea></xmp></iframe></noembed></noframes>"""
"""Ends whatever is open but `<plaintext>`: a tag, a comment, a raw element."""
_HIDING = (
    b"<script>%s</script>",
    b"<style>%s</style>",
    b"<!-- %s -->",
    b"<script><!-- %s --></script >",
    b'<i title="%s">',
)
_MARGIN, _FILL = 64, 0xA5
_CHUNK = 1000
_LARGE = 10_000
_MOST_GROWTH = 2.6
_SMALLER, _LARGER = 200_000, 400_000

SNIPPETS = [
    b"<!doctype html><html lang=en><head><title>The mill &amp; the river</title><meta name=description content='old mill'>",
    b"<meta property='og:type' content=article><link rel=canonical href='https://mill.example/a?b=1&copy=2'></head><body>",
    b'<script type="application/ld+json">{"@type": ["Article", "Report"], "headline": "x"}</script>',
    b'<script type="application/ld+json">{"@type": "NewsArticle", "articleBody": "It stands by the river, they say."}</script>',
    b"<script><!-- if (a<b) document.write('<script>x</script>') --></script><style>p>b{color:red}</style>",
    b"<h1 class='entry-title main'>The old mill</h1><p>It stands <b>by</b> the <a href='/river?x=1&amp;y=2'>river</a>, they say.",
    b"<div hidden>no</div><div style='display : none'>none</div><p style=visibility:hidden>gone</p><div aria-hidden=true>q</div>",
    b"<ul><li>one<li>two<ul><li>inner <p>more</p></li></ul></li></ul><ol><li><a href=#>link</a></ol><dl><dt>t<dd>d</dl>",
    b"<table><caption>c</caption><tr><th>a<th>b<tr><td>1<td>2<table><tr><td>in</table></td></tr><tbody><tr><td>x<p>y</table>",
    b"<pre>\n  line 1\r\n\tline&#10;2&nbsp;&nbsp;x</pre><code>a &lt; b</code><xmp><b>raw</b></xmp><listing> l </listing>",
    b"a<br>b<br/>c<br><br>d<hr>e</br>f</p>g<wbr>h<nobr>i</nobr>",
    b"<svg viewBox='0 0 1 1'><title>icon</title><path d=''/><text>drawn</text></svg><svg/><math><mi>x</mi></math>",
    b"<noscript><img src=x><p>turn scripts on</p></noscript><template><p>later</p></template><select><option>1<option>2</select>",
    b"<textarea rows=2><p>typed</textarea><iframe src=x>old</iframe><object>no</object><video>v</video><dialog>d</dialog>",
    b"<!----><!---><!--x--!><!-- a --><![CDATA[ data > x ]]><?xml version='1.0'?></ ><><a & b &&amp;&lt &notit; &NotEqualTilde;",
    b"&#0;&#x80;&#xD800;&#1114112;&#x1F600;&#55357;&nGt;&fjlig;&bne;&CounterClockwiseContourIntegral;&copy&reg &#38;lt; &#x;&#;",
    b"<my-tag class='postBody ARTICLEBody2'><slot-x>custom</slot-x></my-tag><a href=a>x<div>y<p>z</div></a><a href=b>1<a href=c>",
    b"<blockquote><p>quoted</p><h2>head</h3><h3>x</blockquote><form><label>l<button>b</button></label><input value='<p>'></form>",
    "<p>Привет, мир 漢字かな文章。 naïve\u00ad\u200b\u3000\u00a0\ufeff 👩\u200d🚀 \u2028</p>".encode(),
    b"\xff\xfe\xc3(\xe2\x82\xf0\x9f\x98\xed\xa0\x80\x00\x01\x0b\x0c\x7f<p\x00 a\x00='\x00'>\x00",
    b"<time datetime=2020-01-01>then</time><frameset><frame></frameset><noframes>n</noframes></body></html>after",
    b"<p class=a title='x>y' data-x=\"<i>\" checked b = c d='e'f>z</p ><P CLASS=\"A\"\n>Z</P\t>",
    b"<plaintext>rest <b>of it</b>",
]
TOKENS = [
    *rb"""<!-- --> --!> -- -> > < </ /> <! <? " ' = & &# &#x ; &amp &amp; &notin; &nGt; &#10; &#x1F600; &#0; </3 x</ <> <><
    <script <script> </script </script> <script><!--<script> <!--<script <style> </style> <title> </title> <title><textarea>
    <textarea> </textarea> <xmp> </xmp> <iframe> <noframes> <plaintext> <![CDATA[ ]]> <svg> </svg> <svg/> <template> </template>
    <noscript> </noscript> <select> </select> <option> <svg><select> <object> <dialog> <pre> </pre> <p> </p> <p>x <div> </div>
    <div>x <li> <ul><li>x <table> </table> <tr><td>x <td> </td> <br> x<br> <br><br>x <a </a> <b> </b> <x-y> </x-y> <h1> </h2>
    <code> </code> <html> <body> <meta/property=og:type> <p/hidden> <p/class=aBcD> <a/href=x> <a/href=x>y <a/href=x><div>y
    <script/type="+">"@type" "@type":[""".split(),
    *(
        b"<p class='",
        b'<a b="',
        b"<a b='",
        b"<a b=",
        b"<y ",
        b"</y ",
        b"<p a ",
        b"a=b ",
        b"</script ",
        b"<p style='display:none'>",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xc2\xa0",
        b"\xe2\x80\x8b",
        b" ",
        b"\n",
        b"\r\n",
        b"\t",
        b"word ",
    ),
]


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return a page: some of the *seeds* in a row after up to a dozen mutations."""
    page = bytearray(b"".join(chance.choices(seeds, k=chance.randint(1, 4))))
    for _ in range(chance.randint(0, 12)):
        at = chance.randrange(len(page) + 1)
        behind = min(len(page), at + int(chance.expovariate(1 / 30)))
        match chance.randrange(9):
            case 0:
                del page[at:behind]
            case 1:
                page[at:at] = page[at:behind]
            case 2:
                other = chance.randrange(len(page) + 1)
                page[other:other] = page[at:behind]
            case 3 | 4 | 5:
                page[at:at] = chance.choice(TOKENS)
            case 6:
                page[at:behind] = chance.choice(TOKENS)
            case 7:
                del page[len(page) - chance.randrange(len(page) // 4 + 1) :]
            case 8:
                page[at:at] = (page[at:behind] or chance.choice(TOKENS)) * int(chance.paretovariate(0.8) % 300)
    return bytes(page)


def check(page: bytes, number: int) -> None:
    """Read *page* and raise AssertionError with the first thing that is wrong; *number* picks the checks that take long."""
    read = read_page(page, no_class_words())
    again = read_page(page, no_class_words())
    for one, other in zip(_tables(read), _tables(again), strict=True):
        assert np.array_equal(one, other), "read differently the second time"
    _check_tables(read)
    keep = np.ones(len(read.blocks), np.bool_)
    texts = [
        _rendered(read, keep, links, marked)
        for links, marked in ((html_render.LINKS_TEXT, False), (2, True), (0, False))
    ]
    if number % 8 == 0:
        keep = kept_blocks(read_page(page, content_model().words), content_model())
        assert keep.any() or not len(keep), "no block kept"
        render_text(read, keep, links="drop", layout="markdown", bullets=True)
    if number % 16 == 0:
        assert _letters(" ".join(block_texts(read))) == _letters(texts[0]), "text of blocks and rendered text differ"


def _tables(page: HtmlPage) -> tuple[Any, ...]:
    return page.blocks, page.containers, page.weights, page.pieces, page.marks, page.facts


def _check_tables(page: HtmlPage) -> None:
    blocks, containers, pieces, size = page.blocks, page.containers, page.pieces, len(page.data)
    first, behind = blocks[:, layout.B_PIECE], blocks[:, layout.B_PIECES]
    assert (first < behind).all(), "a block without pieces"
    assert (first[1:] == behind[:-1]).all(), "blocks do not share out the pieces"
    assert len(blocks) == 0 or (first[0] == 0 and behind[-1] <= len(pieces)), "pieces of blocks out of bounds"
    assert (blocks[:, layout.B_CHARACTERS] > 0).all(), "a block without characters"
    assert (blocks[:, layout.B_LINKED] <= blocks[:, layout.B_CHARACTERS]).all(), (
        "more characters in links than there are"
    )
    assert ((blocks[:, layout.B_CONTAINER] >= 0) & (blocks[:, layout.B_CONTAINER] < len(containers))).all(), (
        "container of a block"
    )
    assert (containers[1:, layout.C_PARENT] < np.arange(1, len(containers))).all(), "a container before its parent"
    assert (containers[1:, layout.C_PARENT] >= 0).all(), "a container without a parent"
    begins, ends = pieces[:, layout.P_BEGIN], pieces[:, layout.P_END]
    assert ((begins >= 0) & (begins <= ends) & (ends <= size)).all(), "a piece outside the page"
    text = pieces[pieces[:, layout.P_KIND] <= layout.RAW_TEXT]
    assert (text[1:, layout.P_BEGIN] >= text[:-1, layout.P_END]).all(), "pieces of text are not in order"
    marks = page.marks
    assert ((marks[:, layout.M_BEGIN] >= 0) & (marks[:, layout.M_BEGIN] <= marks[:, layout.M_END])).all(), (
        "a mark ends first"
    )
    assert (marks[:, layout.M_END] <= size).all(), "a mark outside the page"


def _rendered(page: HtmlPage, keep: Any, links: int, marked: bool) -> str:
    """Return the text of all blocks; the room that is said to do must do."""
    room = html_render.room_for(page.blocks, page.containers, page.pieces, keep)
    out = np.full(room + _MARGIN, _FILL, np.uint8)
    tables = page.data, page.blocks, page.containers, page.pieces, keep, references()
    size = (
        html_markdown.render_markdown(*tables, links, out) if marked else html_render.render(*tables, links, False, out)
    )
    assert size <= room, "more text than there is room for"
    assert (out[room:] == _FILL).all(), "written behind the room"
    return str(out[:size].tobytes(), "utf-8")  # raises where it is not UTF-8


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def check_hiding(page: bytes, rest: bytes, how: bytes) -> None:
    """Raise AssertionError if what a closed script, style, comment or attribute holds shows between two broken stretches."""
    whole = page + CLOSING + how % _SECRET + rest
    read = read_page(whole, no_class_words())
    text = _rendered(read, np.ones(len(read.blocks), np.bool_), html_render.LINKS_TEXT, False)
    assert _SECRET.decode() not in text, f"what {how.decode()} holds is shown: {whole!r}"


@functools.cache
def _stretches(paths: tuple[Path, ...]) -> list[bytes]:
    """Return the snippets, and two short stretches of each of 400 pages."""
    chance = random.Random(len(paths))
    found = []
    for page in evenly_spaced(paths, 400) if paths else ():
        data = page.html.encode()
        for _ in range(2):
            at = chance.randrange(max(1, len(data) - 200))
            found.append(data[at : at + chance.randint(200, 3000)])
    return SNIPPETS + found


def fuzz_chunk(seed: int, chunk: int, count: int, paths: tuple[Path, ...]) -> tuple[list[str], float, int]:
    """Return (what failed, the most nanoseconds per byte of a large page, bytes read) of *count* pages."""
    chance = random.Random(seed * 1_000_003 + chunk)
    seeds = _stretches(paths)
    failures, slowest, total = [], 0.0, 0
    for number in range(count):
        page = mutated(chance, seeds if chance.random() < 0.5 else SNIPPETS)
        total += len(page)
        try:
            check(page, number)
            if number % 4 == 0 and b"<plaintext" not in page.lower():
                check_hiding(page, mutated(chance, SNIPPETS), chance.choice(_HIDING))
        except Exception as error:  # noqa: BLE001  every kind is what we look for
            failures.append(f"seed {seed}, chunk {chunk}, page {number}: {type(error).__name__}: {error}\n{page!r}")
        if len(page) >= _LARGE:
            slowest = max(slowest, _seconds(page, 2) / len(page) * 1e9)
    return failures, slowest, total


def _seconds(page: bytes, times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        read = read_page(page, no_class_words())
        render_text(read, np.ones(len(read.blocks), np.bool_), links="markdown", layout="markdown")
        best = min(best, time.process_time() - begin)
    return best


def growth() -> Iterator[tuple[bytes, float, float]]:
    """Yield for each token: nanoseconds per byte when it is repeated, and how the time grows from 200 to 400 kB."""
    for before in (b"", b"<p>text<a href=x>"):
        for token in TOKENS:
            small, large = (before + token * (size // len(token)) for size in (_SMALLER, _LARGER))
            first, second = _seconds(small), _seconds(large)
            if second > _MOST_GROWTH * first:  # once more: other processes were at work
                first, second = _seconds(small, 12), _seconds(large, 12)
            yield before + token, second / len(large) * 1e9, second / first


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--pages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    paths, failed, slowest, total = tuple(asked.data), 0, 0.0, 0
    chunks = [(number, min(_CHUNK, asked.pages - number * _CHUNK)) for number in range(-(-asked.pages // _CHUNK))]
    with ProcessPoolExecutor(asked.workers) as pool:
        waiting = [pool.submit(fuzz_chunk, asked.seed, *chunk, paths) for chunk in chunks]
        for done, result in enumerate(waiting, 1):
            failures, nanoseconds, size = result.result()
            failed, slowest, total = failed + len(failures), max(slowest, nanoseconds), total + size
            for failure in failures:
                print(failure, flush=True)
            if done % 50 == 0:
                print(f"{done} of {len(chunks)} thousand pages, {failed} failed", file=sys.stderr, flush=True)
    print(
        f"{asked.pages:,} pages of {total / 1e6:,.0f} MB: {failed} failed; at most {slowest:.0f} ns/byte where they have 10 kB"
    )
    rates = list(growth())
    for token, _, ratio in rates:
        if ratio > _MOST_GROWTH:
            print(f"{re.sub(rb'[^ -~]', b'?', token).decode()} repeated: {ratio:.2f} times as long when twice as long")
    token, nanoseconds, _ = max(rates, key=lambda rate: rate[1])
    print(
        f"twice as often: at most {max(rate[2] for rate in rates):.2f} times as long; {nanoseconds:.0f} ns/byte ({token!r})"
    )
    return 1 if failed or any(rate[2] > _MOST_GROWTH for rate in rates) else 0


if __name__ == "__main__":
    sys.exit(main())
