r"""What a page declares of itself: title, language, address, date, and what its owner allows.

Read from the start tags that the tokenizer found on its way, so that the page is not parsed again. BeautifulSoup or a tree of
resiliparse would read the same with 10 to 1,000 times the work; regular expressions over the whole page find tags in comments,
scripts and text. Most tags of a head are of no interest (24 `meta` and 27 `link` on a mean page, 6 of them read), so the first
attribute of a `meta` is looked at before the others are split: half the time of splitting all.

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

META: Final = 1
"""Kinds of marks: whole start tags but for `TITLE`, the content of the first title, and `JSON_LD`, that of a script."""
LINK: Final = 2
HTML: Final = 3
BODY: Final = 4
TITLE: Final = 5
TIME: Final = 7

_LONGEST_TITLE: Final = 500
_LONGEST_URL: Final = 2000
_LONGEST_TAG: Final = 16_384
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
    metas: list[bytes] = [b""]
    links: list[bytes] = [b""]
    others: list[list[int]] = []
    for kind, begin, end in marks.tolist() if isinstance(marks, np.ndarray) else marks:
        if begin < 0:
            continue
        if kind == META:
            metas.append(page[begin:end])
        elif kind == LINK:
            links.append(page[begin:end])
        elif kind != JSON_LD:
            others.append([kind, begin, min(end, begin + _LONGEST_TAG)])
    wanted, names = _patterns(agents)
    values, rules = _meta_values(_SEPARATOR.join(metas), wanted, names, agents)
    title = next((_one_line(page[begin:end]) for kind, begin, end in others if kind == TITLE), None)
    signals = _signals(rules, _decoded(values, b"tdm-reservation"), _decoded(values, b"tdm-policy"), base_url)
    signals = _merged(signals, headers) if headers else signals
    return PageMetadata(
        title=title or _one_line(values.get(b"og:title", b"")) or _one_line(values.get(b"twitter:title", b"")),
        language=_language(page, others, values),
        canonical=_canonical(_SEPARATOR.join(links), base_url) or web_url(_decoded(values, b"og:url"), base_url),
        published=_published(page, marks, others, values, structured),
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
        for rule in field[:_LONGEST_TAG].lower().split(",") if isinstance(field, str) else ():
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
_NAMING: Final = (b"name", b"property", b"itemprop", b"http-equiv")
_SEPARATOR: Final = b"\0"
_ATTRIBUTE: Final = re.compile(rb"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)))?""")
_RULES_WITH_VALUES: Final = frozenset({"max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"})
_AGENT: Final = re.compile(r"\s*[a-z0-9_.*-]+\s*", re.ASCII)
_BETWEEN_RULES: Final = re.compile(r"[,;\s]+")


def _attributes(tag: bytes) -> dict[bytes, bytes]:
    """Return the attributes of a start tag, names in lower case; of equal names the first counts, as in browsers."""
    found: dict[bytes, bytes] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(tag[:_LONGEST_TAG]):
        found.setdefault(name.lower(), double or single or bare)
    return found


@functools.lru_cache(16)
def _patterns(agents: frozenset[str]) -> tuple[re.Pattern[bytes], frozenset[bytes]]:
    """Return the pattern that finds the `meta` elements to read in a row of them, in lower case, and the names it looks for.

    Most are written as `<meta name="…" content="…">`, and their content is found at once. What is written otherwise, or has a
    second name, is found too, to be taken apart.
    """
    names = _NAMES | {name.encode() for name in agents}
    naming = b"(?:" + b"|".join(_NAMING) + b")"
    wanted = b"|".join(re.escape(name) for name in sorted(names))
    return re.compile(
        rb"""\0<meta\s+(?:
            %b=(?P<quote>["'])(?P<name>%b)(?P=quote)(?:\ content=(?P<mark>["'])(?P<content>[^"'\0]*)(?P=mark)\s*/?>)?
            |(?:%b\s*=\s*(?P<plain>["'])[^"'\0]*(?P=plain)\s*%b\s*=)
            |(?!%b=["']|charset=)
        )"""
        % (naming, wanted, naming, naming, naming),
        re.VERBOSE,
    ), names


def _meta_values(
    tags: bytes, wanted: re.Pattern[bytes], names: frozenset[bytes], agents: frozenset[str]
) -> tuple[dict[bytes, bytes], list[str]]:
    """Return the first content of each name, and the robots rules for *agents*, in a row of `meta`."""
    values: dict[bytes, bytes] = {}
    rules: list[str] = []
    lowered = tags.lower()
    for found in wanted.finditer(lowered):
        begin, end = found.span("content")
        if begin >= 0:
            pairs = [(found["name"], tags[begin:end])]
        else:
            begin = found.start() + 1
            end = tags.find(_SEPARATOR, begin)
            attributes = _attributes(tags[begin : end if end >= 0 else len(tags)])
            content = attributes.get(b"content", b"")
            pairs = [(attributes.get(naming, b"").lower().strip(), content) for naming in _NAMING]
        for name, content in pairs:
            if name in names and content:
                if name.decode("utf-8", "replace") in agents:
                    rules.append(unescaped(content[:_LONGEST_TAG].decode("utf-8", "replace")).lower())
                elif not content.isspace():
                    values.setdefault(name, content)
    return values, rules


# One function for each field -------------------------------------------------------------------------------------------


def _decoded(values: dict[bytes, bytes], name: bytes) -> str | None:
    value = values.get(name)
    return unescaped(value[:_LONGEST_TAG].decode("utf-8", "replace")) if value else None


def _one_line(data: bytes) -> str | None:
    if not data:
        return None
    text = " ".join(unescaped(data[:_LONGEST_TAG].decode("utf-8", "replace")).split())
    return text[:_LONGEST_TITLE].rstrip() or None


def _language(page: bytes, others: list[list[int]], values: dict[bytes, bytes]) -> str | None:
    """Return the language of the root element, else of the body, else of `content-language` and `og:locale`."""
    for wanted in (HTML, BODY):
        for kind, begin, end in others:
            if kind == wanted:
                tag = page[begin:end]
                if b"lang" in tag or b"LANG" in tag:
                    usual = _USUAL_LANGUAGE.match(tag)
                    attributes = {b"lang": usual[1]} if usual else _attributes(tag)
                    for name in (b"lang", b"xml:lang"):
                        language = language_tag(attributes.get(name, b"").decode("utf-8", "replace"))
                        if language:
                            return language
    return language_tag(_decoded(values, b"content-language")) or language_tag(_decoded(values, b"og:locale"))


_USUAL_LANGUAGE: Final = re.compile(rb"""<html (?:(?:class|dir|prefix)="[^"]*" )?lang=["']([a-zA-Z_-]+)["'][ >]""")
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


def _canonical(tags: bytes, base_url: str | None) -> str | None:
    """Return the first address of *tags*, `link` elements after a separator each, that is declared canonical and is one."""
    lowered = tags.lower()
    at = lowered.find(b"canonical")
    while at >= 0:
        end = lowered.find(_SEPARATOR, at)
        end = len(tags) if end < 0 else end
        attributes = _attributes(tags[lowered.rfind(_SEPARATOR, 0, at) + 1 : end])
        if b"canonical" in attributes.get(b"rel", b"").lower().split():
            url = web_url(_decoded(attributes, b"href"), base_url)
            if url:
                return url
        at = lowered.find(b"canonical", end)
    return None


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
    page: bytes, marks: Any, others: list[list[int]], values: dict[bytes, bytes], structured: StructuredData | None
) -> str | None:
    """Return the first date that is possible: Open Graph, JSON-LD, other `meta`, `<time pubdate>`."""
    found = iso_date(_decoded(values, b"article:published_time"))
    if not found:
        found = iso_date((structured or structured_data(page, marks)).published)
    for name in _DATES if values and not found else ():
        if name in values:
            found = found or iso_date(_decoded(values, name))
    for kind, begin, end in others if not found else ():
        if kind == TIME and b"pub" in page[begin:end].lower():
            attributes = _attributes(page[begin:end])
            if b"pubdate" in attributes or attributes.get(b"itemprop", b"").lower() == b"datepublished":
                found = found or iso_date(_decoded(attributes, b"datetime"))
    return found


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
