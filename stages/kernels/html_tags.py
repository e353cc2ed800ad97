"""What the HTML tokenizer knows of names: tags, attributes, characters, words in class names. Constants, nothing learned.

Names are compared by their 32-bit FNV-1a hash (Fowler, Noll and Vo), which the tokenizer computes while it reads them. A page
could be built whose made-up tag hashes like a real one; all it gains is to be read as if it had written that tag.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLANK",
    "BLOCK",
    "CATEGORIES",
    "CATEGORY_WORDS",
    "CELL",
    "CLASSES",
    "CLOSES_P",
    "COMMENTS",
    "CUSTOM",
    "DIGIT",
    "FEATURED",
    "HASH_FACTOR",
    "HASH_MASK",
    "HASH_START",
    "HIDDEN",
    "KEPT_RAW",
    "KINDS",
    "LOWER",
    "NOTED",
    "OPEN_GRAPH_TYPES",
    "PUNCTUATION",
    "RAW",
    "RAW_NAMES",
    "SCHEMA_TYPES",
    "SKIPPED",
    "SPECIAL",
    "TAGS",
    "TAG_BITS",
    "TAG_FLAGS",
    "TAG_KEYS",
    "TAG_KINDS",
    "TAG_VALUES",
    "UPPER",
    "hash_name",
    "hash_table",
]

Integers = npt.NDArray[np.int64]

HASH_START, HASH_FACTOR, HASH_MASK = 2166136261, 16777619, 0xFFFFFFFF


def hash_name(name: bytes) -> int:
    """Return the hash by which a name is known."""
    hashed = HASH_START
    for byte in name:
        hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
    return hashed


def hash_table(items: Iterable[tuple[bytes, int]], size: int) -> tuple[Integers, Integers]:
    """Return (hashes of the names, values) in places found by linear probing from `hash % size`; hash 0 is a free place."""
    keys, values = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for name, value in items:
        hashed = hash_name(name)
        place = hashed & (size - 1)
        while keys[place]:
            assert keys[place] != hashed, name
            place = (place + 1) & (size - 1)
        keys[place], values[place] = hashed, value
    return keys, values


# Tags --------------------------------------------------------------------------------------------------------------

BLOCK, RAW, SKIPPED, CLOSES_P, SPECIAL, CELL, KEPT_RAW, NOTED = 1, 2, 4, 8, 16, 32, 64, 128
"""Flags: begins a block of text; its content is no markup; its content is not shown; ends an open paragraph; `</li>` and the
like do not reach through it; no end tag of another kind reaches through it; its raw content is shown; the tokenizer does
something about it although it is no block."""

_FLAGGED: tuple[tuple[int, str], ...] = (
    (
        BLOCK | CLOSES_P,
        """address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form h1 h2 h3 h4
        h5 h6 header hgroup hr main menu nav ol p pre section summary table ul li dd dt listing xmp plaintext search""",
    ),
    (
        BLOCK,
        "body html td th tr tbody thead tfoot caption legend label button optgroup option frameset noframes colgroup",
    ),
    (
        SPECIAL,
        """article aside blockquote section main nav header footer table td th tr tbody thead tfoot caption ul ol dl menu form
        fieldset details figure center body html button pre""",
    ),
    (CELL, "table td th caption html"),
    (RAW, "script style textarea title xmp iframe noembed noframes"),
    (KEPT_RAW, "xmp"),
    (SKIPPED, "noscript template svg select canvas object video audio datalist map applet dialog"),
    (NOTED, "a br meta link time code kbd samp tt"),
    (
        0,
        "span b i em strong font small sub sup u s q cite code kbd samp var mark ins del abbr acronym bdi bdo big tt nobr",
    ),
)


def _flags() -> dict[str, int]:
    found: dict[str, int] = {}
    for flag, names in _FLAGGED:
        for name in names.split():
            found[name] = found.get(name, 0) | flag
    return found


_FLAGS = _flags()
TAGS = {name: number + 1 for number, name in enumerate(sorted(_FLAGS))}
"""Numbers of the tags that matter; 0 is any other."""
CUSTOM = len(TAGS) + 1
"""The number of all custom elements (`<x-y>`), which count as blocks."""

TAG_FLAGS = np.array([0, *(_FLAGS[name] for name in TAGS), BLOCK], np.int64)
TAG_KEYS, TAG_VALUES = hash_table(((name.encode(), number) for name, number in TAGS.items()), 1024)

RAW_NAMES = np.zeros((CUSTOM + 1, 12), np.uint8)
"""The names of raw elements, ended by a 0."""
for _name, _number in TAGS.items():
    if _FLAGS[_name] & RAW:
        RAW_NAMES[_number, : len(_name)] = list(_name.encode())

_KIND_NAMES = """
p | div center | li | td th caption | h1 | h2 | h3 | h4 h5 h6 | ul ol menu dir | dl | dd dt | table tr tbody thead tfoot
| article main | section | aside | nav | header | footer | form fieldset | figure figcaption | blockquote
| pre xmp listing plaintext | button label legend option optgroup summary | body html | details | address
"""
_KINDS = {name: number + 1 for number, names in enumerate(_KIND_NAMES.split("|")) for name in names.split()}
KINDS = max(_KINDS.values()) + 1
TAG_KINDS = np.array([0, *(_KINDS.get(name, 0) for name in TAGS), KINDS], np.int64)
"""The coarse kind of a container, for the model."""

_BIT_NAMES = """
article | main | nav | footer | aside | header | form | figure figcaption | li | table | blockquote | pre
| button label legend | dl | details
"""
_BITS = {name: 1 << number for number, names in enumerate(_BIT_NAMES.split("|")) for name in names.split()}
FEATURED = len(_BIT_NAMES.split("|"))
HIDDEN = 1 << FEATURED
"""The bit of everything below an element that is hidden by an attribute."""
TAG_BITS = np.array([0, *(_BITS.get(name, 0) for name in TAGS), 0], np.int64)
"""The bit that a tag gives to everything below it."""

# Characters --------------------------------------------------------------------------------------------------------

BLANK, PUNCTUATION, DIGIT, UPPER, LOWER = range(1, 6)
CLASSES = np.zeros(256, np.uint8)
"""The class of each byte; 0 is any other."""
for _class, _characters in (
    (BLANK, b" \t\n\r\f"),
    (PUNCTUATION, b",.;:!?"),
    (DIGIT, b"0123456789"),
    (UPPER, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (LOWER, b"abcdefghijklmnopqrstuvwxyz"),
):
    CLASSES[list(_characters)] = _class

# Words in class, id, role and itemprop -----------------------------------------------------------------------------

_CATEGORY_NAMES = """
comment comments disqus reply replies respond commentlist discussion
| sidebar aside rail side rightcol leftcol
| footer foot bottom colophon copyright legal
| nav navigation navbar menu menus submenu breadcrumb breadcrumbs topbar toolbar navi dropdown offcanvas
| share sharing social facebook twitter whatsapp addthis sharedaddy linkedin follow
| related recommend recommended recommendations recommendation trending popular outbrain taboola teaser teasers promo promos
  carousel slider more readmore
| ad ads advert advertisement advertising adsense sponsor sponsored dfp banner
| cookie cookies consent gdpr privacy onetrust
| newsletter subscribe subscription signup login signin register modal popup overlay paywall dialog
| content article post entry story body maincontent articlebody postcontent text prose hentry main
| meta byline author date time tag tags category categories published timestamp avatar bio
| hidden hide sr visually screen
| title headline heading
| product products price cart sku review reviews rating
| description desc summary details specs specification features
| forum thread message messages topic question answer posts postbody
| list listing grid cards card item items results result feed collection
| widget widgets module block
| search filter filters sort pagination pager facet
| caption credit image gallery photo media video
"""
COMMENTS = 1
"""The bit of the first category."""
CATEGORIES = [names.split() for names in _CATEGORY_NAMES.split("|")]
CATEGORY_WORDS: dict[str, int] = {}
"""Bits of the categories of each word."""
for _number, _words in enumerate(CATEGORIES):
    for _word in _words:
        CATEGORY_WORDS[_word] = CATEGORY_WORDS.get(_word, 0) | 1 << _number

# What a page says that it is ---------------------------------------------------------------------------------------

_SCHEMA_NAMES = """
article newsarticle blogposting reportagenewsarticle report scholarlyarticle analysisnewsarticle opinionnewsarticle
  liveblogposting recipe
| product offer aggregateoffer productgroup
| discussionforumposting qapage question comment answer
| itemlist collectionpage searchresultspage
| service localbusiness professionalservice
| faqpage howto
| techarticle apireference softwaresourcecode softwareapplication
| aggregaterating review
"""
SCHEMA_TYPES = hash_table(
    ((name.encode(), 1 << number) for number, names in enumerate(_SCHEMA_NAMES.split("|")) for name in names.split()),
    256,
)
"""Bits of the schema.org types that a page declares in JSON-LD."""
OPEN_GRAPH_TYPES = hash_table(
    [(b"article", 1), (b"website", 2), (b"product", 3), (b"product.item", 3), (b"og:product", 3)]
    + [(name, 4) for name in (b"blog", b"profile", b"object")],
    64,
)
"""Numbers of the values of `og:type` (Open Graph protocol)."""
