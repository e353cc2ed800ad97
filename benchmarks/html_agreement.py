"""Does the tokenizer see the text that a browser's parser sees? Words of real pages by our blocks and by lexbor's tree.

    pip install selectolax
    python benchmarks/html_agreement.py PAGES.jsonl.gz... [--pages 400] [--worst 20] [--broken 50000]

lexbor is a parser as the HTML Standard asks for. Its text here is that of all text nodes outside the elements that we skip, with
a space around elements that begin a block for us and nothing around others, so that words join as readers see them. Hidden
elements count on both sides. Words are compared as multisets. Markdown on stdout; `--worst` shows where pages differ most.

`--broken` also compares the letters and digits of small broken pages, tokens of `html_fuzz.py` between snippets; what would never
end is closed at the end, because there we differ on purpose, and elements that we skip are not among them.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from html_fuzz import CLOSING, TOKENS
from html_pages import evenly_spaced
from selectolax.lexbor import LexborHTMLParser

from corpusmill.stages.html_page import block_texts, no_class_words, read_page
from corpusmill.stages.kernels.html_tags import BLOCK, RAW, SKIPPED, TAG_FLAGS, TAGS

_SKIPPED = frozenset(name for name, number in TAGS.items() if TAG_FLAGS[number] & (SKIPPED | RAW) and name != "xmp")
_BLOCKS = frozenset(name for name, number in TAGS.items() if TAG_FLAGS[number] & BLOCK) | {"br", "hr"}
_SNIPPETS = [
    *(
        b"ab",
        b" cd ",
        b"<b>ef</b>",
        b"<p>gh",
        b"</p>",
        b"ij<br>",
        b"<div>kl</div>",
        b"<a href=x>mn</a>",
        b"<!-- op -->",
        b"&amp;12",
    ),
    *(
        b"<script>qr</script>",
        b"<textarea>st</textarea>",
        b"<title>uv</title>",
        b"<i title='wx'>yz</i>",
        b"<li>34",
        b"<h2>56</h2>",
    ),
]
_WORD = re.compile(r"\w+")
_INVISIBLE = re.compile("[\u00ad\u200b\ufeff\u0000-\u0008\u000b\u000e-\u001f\u007f-\u009f]")


def lexbor_text(page: str, shown: frozenset[str] = frozenset()) -> str:
    """Return the text nodes of a page, but those in skipped elements; *shown* are not skipped."""
    skipped = _SKIPPED - shown
    parts: list[str] = []
    tree = LexborHTMLParser(page)
    if tree.root is None:
        return ""
    # Not recursive: real pages nest deeper than Python calls.
    node: Any = tree.root
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            parts.append(node.text_content or "")
        block = tag in _BLOCKS or "-" in tag[1:]
        if block:
            parts.append(" ")
        following = node.child if tag not in skipped and not tag.startswith(("-", "!")) else None
        while following is None and node is not None:
            if node.tag in _BLOCKS or "-" in (node.tag or "")[1:]:
                parts.append(" ")
            following = node.next
            if following is None:
                node = node.parent
                if node is None:
                    break
        node = following
    return "".join(parts)


def our_text(page: str) -> str:
    """Return the text of all blocks of a page."""
    return " ".join(block_texts(read_page(page.encode(), no_class_words())))


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(_INVISIBLE.sub("", text)))


def _letters(text: str) -> Counter[str]:
    return Counter(character for character in text if character.isalnum())


def broken_pages(count: int) -> Iterator[str]:
    """Yield small pages with some tokens where they do not belong."""
    chance = random.Random(count)
    tokens = [token for token in TOKENS if not re.search(rb"<(?:svg|sel|temp|nos|nof|obj|dia|pla)|\0", token)]
    for _ in range(count):
        parts = chance.choices(_SNIPPETS, k=chance.randint(2, 5)) + chance.choices(tokens, k=chance.randint(1, 3))
        chance.shuffle(parts)
        yield (b"<body>" + b"".join(parts) + b"x" + CLOSING + b"yz").decode("utf-8", "replace")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("--broken", type=int, default=0)
    asked = parser.parse_args()
    rows = []
    for page in evenly_spaced(asked.data, asked.pages):
        ours, theirs = _words(our_text(page.html)), _words(lexbor_text(page.html))
        if "noscript" in page.html and sum(ours.values()) > 2 * sum(theirs.values()):
            theirs = _words(lexbor_text(page.html, frozenset({"noscript"})))  # read for want of anything else
        both = (ours & theirs).total()
        rows.append((page.name, ours, theirs, both))
    common = sum(row[3] for row in rows)
    our_total, their_total = sum(row[1].total() for row in rows), sum(row[2].total() for row in rows)
    recalls = sorted(row[3] / row[2].total() if row[2] else 1.0 for row in rows)
    precisions = sorted(row[3] / row[1].total() if row[1] else 1.0 for row in rows)
    print(f"| {len(rows)} pages, {their_total:,} words | all words | mean of pages | tenth lowest | lowest |")
    print("| --- | --- | --- | --- | --- |")
    for name, share, pages in (
        ("recall", common / their_total, recalls),
        ("precision", common / our_total, precisions),
    ):
        print(
            f"| {name} | {share:.5f} | {sum(pages) / len(pages):.5f} | {pages[min(9, len(pages) - 1)]:.4f} | {pages[0]:.4f} |"
        )
    rows.sort(key=lambda row: row[3] - max(row[1].total(), row[2].total()))
    for name, mine, other, common in rows[: asked.worst]:
        if mine == other:
            break
        missing, extra = other - mine, mine - other
        print(f"\n{name}: {other.total()} words, {other.total() - common} missing, {mine.total() - common} too many")
        print("  missing:", " ".join(f"{word}*{n}" for word, n in missing.most_common(12)))
        print("  too many:", " ".join(f"{word}*{n}" for word, n in extra.most_common(12)))
    if asked.broken:
        made = list(broken_pages(asked.broken))
        differ = [page for page in made if _letters(our_text(page)) != _letters(lexbor_text(page))]
        print(f"\n{len(made):,} broken pages: {len(differ)} with other letters", *differ[: asked.worst], sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
