r"""What a page declares of itself: title, language, address, date, and what its owner allows.

Read from the start tags that the tokenizer found on its way, so that the page is not parsed again: BeautifulSoup or a tree of
resiliparse would give the same for 10 to 1,000 times the work, and regular expressions over the page find tags in comments,
scripts and text. A kernel takes the tags apart and hands over the few that are wanted; what they mean is decided here.

Declarations are claims. Nothing here guesses: a language is not detected, a date is not searched in the text, and what is
impossible is None. Dates are never compared with the clock, because the output may not depend on it.

Which rule is from where:

- title, `lang`, `rel=canonical`, `<time>`: HTML Standard, https://html.spec.whatwg.org/ (the pragma `content-language` too);
  canonical addresses: RFC 6596; language tags: BCP 47 (RFC 5646).
- `og:*`, `article:published_time`: The Open Graph protocol, https://ogp.me/; `datePublished`: https://schema.org/datePublished;
  `dc.*`, `dcterms.*`: Dublin Core in HTML, https://www.dublincore.org/specifications/dublin-core/dcq-html/.
- `robots`: https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag; `noai` and `noimageai` began with
  DeviantArt in 2022 and are a convention without a standard; `tdm-*`: TDM Reservation Protocol, final report of the W3C
  community group of 10 May 2024, https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urljoin

import msgspec
import numpy as np

from corpusmill.stages.dates import iso_date
from corpusmill.stages.structured_data import JSON_LD, StructuredData, structured_data, unescaped

__all__ = [
    "BODY",
    "HTML",
    "JSON_LD",
    "LINK",
    "META",
    "TIME",
    "TITLE",
    "PageMetadata",
    "UsageSignals",
    "header_signals",
    "language_tag",
    "page_metadata",
    "web_url",
]

META: Final = 0
"""Kinds of marks: whole start tags but for `TITLE`, the content of the first title, and `JSON_LD`, that of a script."""
LINK: Final = 1
HTML: Final = 2
BODY: Final = 3
TITLE: Final = 4
TIME: Final = 6

_LONGEST_TITLE: Final = 500
_LONGEST_URL: Final = 2000
_LONGEST_VALUE: Final = 16_384
_ROBOTS: Final = frozenset({"robots"})


class UsageSignals(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a page asks of machines that read it."""

    noindex: bool = False
    """`noindex` or `none`: the page shall not be found by a search."""
    noai: bool = False
    """`noai`, or the rarer `noml`: the page shall not train models."""
    noimageai: bool = False
    """`noimageai`: its images shall not."""
    tdm_reservation: bool | None = None
    """Whether rights of text and data mining are reserved (1) or not (0); None where nothing, or anything else, is said."""
    tdm_policy: str | None = None
    """URL of the terms on which mining is allowed."""


class PageMetadata(UsageSignals, frozen=True, kw_only=True):
    """What a page declares; None where it declares nothing, or nothing that can be."""

    title: str | None = None
    """On one line, at most 500 characters; `og:title` or `twitter:title` where there is no title."""
    language: str | None = None
    """Language, and script and region if given, in lower case: `pt-br`."""
    canonical: str | None = None
    """Absolute http(s) URL without credentials and fragment, at most 2,000 characters."""
    published: str | None = None
    """ISO 8601: `2024-03-05`, or `2024-03-05T10:00:00+01:00`, with a zone where one was given."""


def page_metadata(
    page: bytes,
    marks: Any,
    *,
    base_url: str | None = None,
    structured: StructuredData | None = None,
    headers: UsageSignals | None = None,
    agents: frozenset[str] = _ROBOTS,
) -> PageMetadata:
    r"""Return what *page* declares. Never raises.

    Args:
        page: UTF-8.
        marks: Rows of (kind, begin, end), byte offsets into *page*; rows that lie outside of it are passed over.
        base_url: Where the page was fetched from; without it relative addresses are None.
        structured: What `structured_data` gave for the page, if it was called already; read here only if a date is missing.
        headers: What `header_signals` gave. Robots rules add up; of TDM properties the page's own prevail.
        agents: Names, in lower case, of the crawlers whose robots rules count. A rule for Googlebot alone is no rule for
            others, so only `robots` counts unless asked for; `{"robots", "gptbot", "ccbot"}` honours what is said to those.

    >>> page = b'<html lang="pt_BR"><meta name="robots" content="noindex, noai">'
    >>> found = page_metadata(page, [(HTML, 0, 19), (META, 19, len(page))])
    >>> found.language, found.noindex, found.noai
    ('pt-br', True, True)

    """
    found = _declarations(page, marks, agents)
    values: dict[bytes, bytes] = {}
    rules: list[str] = []
    rest: list[tuple[int, bytes]] = []
    for kind, name_begin, name_end, begin, end in found:
        value = page[begin : min(end, begin + _LONGEST_VALUE)]
        if kind != META:
            rest.append((kind, value))
            continue
        name = page[name_begin:name_end].lower()  # the kernel knows it by its hash alone
        if name.decode("utf-8", "replace") in agents:
            rules.append(_text(value).lower())
        elif not value.isspace():
            values.setdefault(name, value)
    signals = _signals(rules, _text(values.get(b"tdm-reservation")), _text(values.get(b"tdm-policy")), base_url)
    signals = _merged(signals, headers) if headers else signals
    return PageMetadata(
        title=_title(rest, values),
        language=_language(rest, values),
        canonical=_canonical(rest, values, base_url),
        published=_published(page, marks, rest, values, structured),
        noindex=signals.noindex,
        noai=signals.noai,
        noimageai=signals.noimageai,
        tdm_reservation=signals.tdm_reservation,
        tdm_policy=signals.tdm_policy,
    )


def header_signals(
    robots: str | Iterable[str] | None = None,
    tdm_reservation: str | None = None,
    tdm_policy: str | None = None,
    *,
    base_url: str | None = None,
    agents: frozenset[str] = _ROBOTS,
) -> UsageSignals:
    """Return what the header fields `X-Robots-Tag` (one or several), `tdm-reservation` and `tdm-policy` ask. Never raises.

    A rule that follows the name of a crawler and a colon is for that crawler, as are those after it in the same field.

    >>> header_signals(["googlebot: noindex, nofollow", "noai"]).noai
    True
    >>> header_signals("googlebot: noindex, nofollow").noindex
    False
    """
    rules: list[str] = []
    for field in (robots,) if isinstance(robots, str) else robots or ():
        counts = True
        for rule in field[:_LONGEST_VALUE].lower().split(",") if isinstance(field, str) else ():
            agent, colon, rest = rule.partition(":")
            if colon and _AGENT.fullmatch(agent) and agent.strip() not in _RULES_WITH_VALUES:
                counts = agent.strip() == "*" or agent.strip() in agents
                rule = rest
            if counts:
                rules.append(rule)
    return _signals(rules, tdm_reservation, tdm_policy, base_url)


# Names of meta elements ------------------------------------------------------------------------------------------------

_DATES: Final = (
    b"datepublished",
    b"dcterms.issued",
    b"dc.date.issued",
    b"dcterms.date",
    b"dc.date",
    b"dcterms.created",
    b"dc.date.created",
    b"date",
    b"pubdate",
    b"publishdate",
    b"publish-date",
    b"publish_date",
    b"published",
    b"og:publish_date",
    b"parsely-pub-date",
    b"sailthru.date",
    b"cxenseparse:recs:publishtime",
    b"citation_publication_date",
    b"citation_date",
)
"""Where dates are read, the most specific first; `article:published_time` and JSON-LD come before them."""
_NAMES: Final = frozenset(
    {
        *_DATES,
        *(b"article:published_time", b"content-language", b"og:locale", b"og:title", b"og:url"),
        *(b"robots", b"tdm-policy", b"tdm-reservation", b"twitter:title"),
    }
)
_RULES_WITH_VALUES: Final = frozenset({"max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"})
_AGENT: Final = re.compile(r"\s*[a-z0-9_.*-]+\s*", re.ASCII)
_BETWEEN_RULES: Final = re.compile(r"[,;\s]+")


@functools.lru_cache(16)
def _names(agents: frozenset[str]) -> tuple[Any, Any]:
    """Return the names of `meta` that are read, as a hash table."""
    from corpusmill.stages.kernels.html_tags import hash_table

    names = _NAMES | {name.lower().encode() for name in agents}
    return hash_table([(name, 1) for name in sorted(names)], size=4 << len(names).bit_length())


def _declarations(page: bytes, marks: Any, agents: frozenset[str]) -> list[list[int]]:
    """Return the rows of `html_declarations.declarations`."""
    from corpusmill.stages.kernels.html_declarations import declarations

    rows = np.ascontiguousarray(marks, np.int64).reshape(-1, 3)
    found: list[list[int]] = declarations(np.frombuffer(page, np.uint8), rows, *_names(agents)).tolist()
    return found


# One function for each field -------------------------------------------------------------------------------------------


def _text(value: bytes | None) -> str:
    """Return the value of an attribute, or the content of a title, with its character references decoded."""
    return unescaped(value.decode("utf-8", "replace")) if value else ""


def _title(rest: list[tuple[int, bytes]], values: dict[bytes, bytes]) -> str | None:
    """Return the first of title, `og:title` and `twitter:title` that is not empty."""
    titles = [value for kind, value in rest if kind == TITLE][:1]
    for value in (*titles, values.get(b"og:title"), values.get(b"twitter:title")):
        title = " ".join(_text(value).split())
        if title:
            return title[:_LONGEST_TITLE].rstrip()
    return None


def _language(rest: list[tuple[int, bytes]], values: dict[bytes, bytes]) -> str | None:
    """Return the language of the root element, else of the body, else of `content-language` and `og:locale`."""
    for wanted in (HTML, BODY):
        for kind, value in rest:
            language = language_tag(_text(value)) if kind == wanted else None
            if language:
                return language
    return language_tag(_text(values.get(b"content-language"))) or language_tag(_text(values.get(b"og:locale")))


_ISO_639_1: Final = frozenset(
    re.findall(
        "..",
        "aaabaeafakamanarasavayazbabebgbhbibmbnbobrbscacechcocrcscucvcydadedvdzeeeleneoeseteufafffifjfofrfygagdgl"
        "gngugvhahehihohrhthuhyhziaidieigiiikinioisitiuiwjajijvjwkakgkikjkkklkmknkokrkskukvkwkylalblglilnloltlulv"
        "mgmhmimkmlmnmomrmsmtmynanbndnengnlnnnonrnvnyocojomorospapiplpsptqurmrnrorurwsascsdsesgshsiskslsmsnsosqsr"
        "ssstsusvswtatetgthtitktltntotrtstttwtyugukuruzvevivowawoxhyiyozazhzu",
    )
)
"""Two letters that name a language in the IANA registry, those out of use included: `jp`, `cz` and `dk` are countries."""
_NO_LANGUAGE: Final = frozenset({"mis", "mul", "und", "zxx"})
_TAG: Final = re.compile(
    r"\s*([a-z]{2,3})(?:-[a-z]{3}){0,3}((?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?)(?:[-.@][a-z0-9.@-]*)?\s*", re.ASCII
)


def language_tag(text: str | None) -> str | None:
    """Return the language, script and region of a tag in lower case, or None if it is none. Lists of tags are none.

    >>> language_tag("pt_BR"), language_tag("zh-Hant-TW-x-any"), language_tag("jp")
    ('pt-br', 'zh-hant-tw', None)
    """
    found = _TAG.fullmatch(text[:100].lower().replace("_", "-")) if text else None
    if found is None or found[1] in _NO_LANGUAGE or (len(found[1]) == 2 and found[1] not in _ISO_639_1):
        return None
    return found[1] + found[2]


def _canonical(rest: list[tuple[int, bytes]], values: dict[bytes, bytes], base_url: str | None) -> str | None:
    """Return the first address that is declared canonical and is one, else `og:url`."""
    for kind, value in rest:
        url = web_url(_text(value), base_url) if kind == LINK else None
        if url:
            return url
    return web_url(_text(values.get(b"og:url")), base_url)


_URL: Final = re.compile(
    r"""(https?)://([^/?#\\\s]*)([^#\s<>"`{}|\\^\x00-\x1f\x7f]*)(?:#.*)?""", re.IGNORECASE | re.DOTALL
)
_HOST: Final = re.compile(r"(?:\w[\w.-]*|\[[0-9a-f:.]+\])(?::\d{1,5})?")


def web_url(text: str | None, base_url: str | None = None) -> str | None:
    """Return *text* as an absolute http(s) URL without credentials and fragment, or None: also for templates left unfilled.

    >>> web_url("https://me:secret@Example.org/a?b=1#c"), web_url("/a"), web_url("/a", "http://example.org/b")
    ('https://example.org/a?b=1', None, 'http://example.org/a')
    """
    if not text:
        return None
    text = text.strip()
    found = _URL.fullmatch(text)
    if found is None and base_url and not _SCHEME.match(text) and text:
        try:
            found = _URL.fullmatch(urljoin(base_url, text))
        except ValueError:
            return None
    if found is None:
        return None
    host = found[2].rpartition("@")[2].lower()
    rest = found[3] if found[3].startswith("/") else "/" + found[3]
    url = f"{found[1].lower()}://{host}{rest}"
    return url if len(url) <= _LONGEST_URL and _HOST.fullmatch(host) else None


_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)


def _published(
    page: bytes,
    marks: Any,
    rest: list[tuple[int, bytes]],
    values: dict[bytes, bytes],
    structured: StructuredData | None,
) -> str | None:
    """Return the first date that is possible: Open Graph, JSON-LD, other `meta`, `<time pubdate>`."""
    date = iso_date(_text(values.get(b"article:published_time")))
    if not date:
        date = iso_date((structured or structured_data(page, marks)).published)
    for name in _DATES if values and not date else ():
        date = date or (iso_date(_text(values[name])) if name in values else None)
    for kind, value in rest if not date else ():
        date = date or (iso_date(_text(value)) if kind == TIME else None)
    return date


def _signals(rules: Iterable[str], reservation: str | None, policy: str | None, base_url: str | None) -> UsageSignals:
    """Return what rules and TDM properties say together; of rules that contradict each other the stricter counts."""
    words = {word for rule in rules for word in _BETWEEN_RULES.split(rule)}
    reserved = {"1": True, "0": False}.get(reservation.strip()) if isinstance(reservation, str) else None
    return UsageSignals(
        noindex=not words.isdisjoint(("noindex", "none")),
        noai=not words.isdisjoint(("noai", "noml")),
        noimageai="noimageai" in words,
        tdm_reservation=reserved,
        tdm_policy=web_url(policy, base_url) if isinstance(policy, str) else None,
    )


def _merged(page: UsageSignals, headers: UsageSignals) -> UsageSignals:
    """Return both together: TDM properties in a page prevail over those of its response (TDMRep, processing priority)."""
    own = page.tdm_reservation is not None
    return UsageSignals(
        noindex=page.noindex or headers.noindex,
        noai=page.noai or headers.noai,
        noimageai=page.noimageai or headers.noimageai,
        tdm_reservation=page.tdm_reservation if own else headers.tdm_reservation,
        tdm_policy=page.tdm_policy if own else page.tdm_policy or headers.tdm_policy,
    )
