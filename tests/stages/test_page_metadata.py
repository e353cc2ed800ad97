"""What pages declare: which declaration counts, what is normalised how, and that nothing makes it raise."""

from __future__ import annotations

import re
import string

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.stages.dates import iso_date
from corpusmill.stages.kernels import html_layout
from corpusmill.stages.kernels.html_declarations import MOST_DECLARATIONS
from corpusmill.stages.kernels.html_tags import hash_name
from corpusmill.stages.page_metadata import (
    BODY,
    HTML,
    JSON_LD,
    LINK,
    META,
    TIME,
    TITLE,
    PageMetadata,
    UsageSignals,
    header_signals,
    language_tag,
    page_metadata,
    web_url,
)
from corpusmill.stages.structured_data import StructuredData

KINDS = {b"meta": META, b"link": LINK, b"html": HTML, b"body": BODY, b"time": TIME}
PLACES = re.compile(
    rb"""<(?P<tag>meta|link|html|body|time)(?=[\s/>])(?:[^>"']|"[^"]*"|'[^']*')*>
    |<title>(?P<title>.*?)</title>|<script\ type="application/ld\+json">(?P<json>.*?)</script>""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def marks_of(page: bytes) -> npt.NDArray[np.int64]:
    """The marks of a well-formed page."""
    rows = []
    for found in PLACES.finditer(page):
        if found["tag"]:
            rows.append((KINDS[found["tag"].lower()], *found.span()))
        else:
            rows.append((TITLE, *found.span("title")) if found["title"] is not None else (JSON_LD, *found.span("json")))
    return np.array(rows, np.int64).reshape(-1, 3)


def read(page: str, **options: object) -> PageMetadata:
    data = page.encode()
    return page_metadata(data, marks_of(data), **options)  # type: ignore[arg-type]


def test_the_kinds_are_those_of_the_tokenizer() -> None:
    names = ["META", "LINK", "HTML", "BODY", "TITLE", "JSON", "TIME"]
    assert [getattr(html_layout, f"{name}_MARK") for name in names] == [META, LINK, HTML, BODY, TITLE, JSON_LD, TIME]


def test_a_whole_page() -> None:
    page = """<!doctype html><html class="no-js" lang="pt-BR" prefix="og: https://ogp.me/ns#"><head><meta charset="utf-8">
    <title>
        O moinho &amp; o rio &#8211; Jornal</title>
    <meta name="viewport" content="width=device-width"><meta name='robots' content='max-snippet:-1, NoIndex, NoAI,noimageai' />
    <link rel="stylesheet" href="/a.css"><link href="https://user:pass@Example.ORG/rio?a=1&amp;b=2#top" rel="Canonical nofollow">
    <meta property="og:url" content="https://example.org/other"><meta property="og:title" content="Outro">
    <meta content="2024-03-05T10:00:00+0100" property="article:published_time">
    <meta name="tdm-reservation" content="1"><meta name="tdm-policy" content="https://example.org/policy.json">
    </head><body lang="en"><time datetime="2020-01-01" pubdate>"""
    assert read(page) == PageMetadata(
        title="O moinho & o rio – Jornal",
        language="pt-br",
        canonical="https://example.org/rio?a=1&b=2",
        published="2024-03-05T10:00:00+01:00",
        noindex=True,
        noai=True,
        noimageai=True,
        tdm_reservation=True,
        tdm_policy="https://example.org/policy.json",
    )


def test_a_page_that_declares_nothing() -> None:
    assert read("<p>Text</p>") == PageMetadata()
    assert read("") == PageMetadata()
    assert (
        read('<html><title> </title><meta name="robots" content=""><meta name="date"><link rel="canonical">')
        == PageMetadata()
    )


# Tags ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    [
        '<meta name="date" content="2024-03-05">',
        "<meta name='date' content='2024-03-05'/>",
        "<meta name=date content=2024-03-05>",
        '<META NAME="DATE" CONTENT="2024-03-05">',
        '<meta content="2024-03-05" name=" Date ">',
        '<meta\n  data-x="a > b"\n  name = "date"\n  content = "2024-03-05" />',
        '<meta name="title" property="og:publish_date" content="2024-03-05">',
        '<meta itemprop="datePublished" content="2024-03-05">',
        '<meta name="date" name="x" content="2024-03-05" content="2001-01-01">',
        '<meta name="date" content="not a date"><meta name="DC.date.issued" content="2024-03-05">',
        '<meta name="date" content=""><meta name="date" content="2024-03-05"><meta name="date" content="2001-01-01">',
    ],
)
def test_however_a_tag_is_written(tag: str) -> None:
    assert read(tag).published == "2024-03-05"


@pytest.mark.parametrize(
    "tag",
    [
        '<meta name="description" content="name=robots content=noindex">',
        '<meta content="x" data-name="robots" content="noindex">',
        '<meta name="keywords" content=\'"robots" noindex\'>',
        '<meta name="robots-x" content="noindex">',
        '<link name="robots" content="noindex">',
    ],
)
def test_what_only_looks_like_a_rule(tag: str) -> None:
    assert not read(tag).noindex


def test_a_name_that_hashes_like_a_wanted_one_is_not_read() -> None:
    assert hash_name(b"lzlltga") == hash_name(b"datepublished")
    assert read('<meta name="lzlltga" content="2024-03-05">') == PageMetadata()


def test_only_marked_tags_are_read() -> None:
    page = b'<!-- <meta name="robots" content="noindex"> --><title>T</title>'
    start = page.index(b"T<")
    assert page_metadata(page, [(TITLE, start, start + 1)]) == PageMetadata(title="T")


# Title and language ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>First</title><title>Second</title>", "First"),
        (
            '<title>&nbsp;\n</title><meta name="twitter:title" content="T"><meta property="og:title" content=" O &amp; G ">',
            "O & G",
        ),
        ('<meta name="twitter:title" content="T">', "T"),
        ("<title>" + "ab " * 400 + "</title>", ("ab " * 167)[:500].rstrip()),
        ("<title>&#" + "9" * 5000 + ";</title>", "\ufffd"),
        ("<title>" + "&#x1F600;" * 600 + "</title>", "😀" * 500),
    ],
)
def test_titles(page: str, title: str) -> None:
    assert read(page).title == title


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"),
        ("EN_us", "en-us"),
        ("zh-Hant-TW", "zh-hant-tw"),
        ("zh-cmn-Hans-CN", "zh-hans-cn"),
        ("es-419", "es-419"),
        ("de-DE-1996", "de-de"),
        ("en-GB-oxendict", "en-gb"),
        ("ca-valencia", "ca"),
        ("en-US.UTF-8", "en-us"),
        ("sr-Latn", "sr-latn"),
        ("ast", "ast"),
        (" fr ", "fr"),
        *(
            (tag, None)
            for tag in (
                "",
                "english",
                "jp",
                "und",
                "mul",
                "x-default",
                "en, fr",
                "12",
                "e",
                "en us",
                "{{lang}}",
                "ｅｎ",
            )
        ),
    ],
)
def test_language_tags(tag: str, language: str | None) -> None:
    assert language_tag(tag) == language


def test_where_languages_are_declared() -> None:
    locale = '<meta property="og:locale" content="de_DE">'
    assert read(f'<html lang="en">{locale}').language == "en"
    assert read(f'<html lang="" xml:lang="fr">{locale}').language == "fr"
    assert read(f'<body lang="it"><html lang="xx">{locale}').language == "it"
    assert read(f'{locale}<meta http-equiv="Content-Language" content="es">').language == "es"
    assert read(f'{locale}<meta http-equiv="Content-Language" content="es, en">').language == "de-de"
    assert read('<html data-lang="en" hreflang="en">').language is None


# Addresses -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org", "https://example.org/"),
        ("HTTP://Example.org:8080?q=Ä#x", "http://example.org:8080/?q=Ä"),
        ("https://a@b:c@例え.jp/道", "https://例え.jp/道"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("\n https://example.org/a \t", "https://example.org/a"),
        ("https://example.org/" + "a" * 1980, "https://example.org/" + "a" * 1980),
        *(
            (text, None)
            for text in (
                *("", "/a", "//example.org/a", "ftp://example.org/", "javascript:alert(1)", "mailto:a@example.org"),
                *(
                    "https://",
                    "https:///a",
                    "https://#x",
                    "https://user@/",
                    "https://exa mple.org/",
                    "https://example.org/{{slug}}",
                ),
                *(
                    'https://example.org/"x',
                    "https://example.org/<a>",
                    "https://example.org:x/",
                    "https://[::1/",
                    "http:example.org",
                ),
                *("https://example.org/" + "a" * 1981, "https://example.org/a\x00b", "https:\\\\example.org"),
            )
        ),
    ],
)
def test_urls(text: str, url: str | None) -> None:
    assert web_url(text) == url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/a?b#c", "https://example.org/a?b"),
        ("//other.example/a", "https://other.example/a"),
        ("../a", "https://example.org/x/a"),
        ("https://other.example/", "https://other.example/"),
        ("javascript:alert(1)", None),
        ("//[::1", None),
        ("", None),
    ],
)
def test_urls_with_a_base(text: str, url: str | None) -> None:
    assert web_url(text, "https://user@example.org/x/y/z") == url


def test_which_canonical_address_counts() -> None:
    page = (
        '<link rel="alternate" href="https://example.org/canonical"><link rel="canonical" href="/relative">'
        '<LINK REL=CANONICAL HREF=https://example.org/first/><link rel="canonical" href="https://example.org/second">'
        '<meta property="og:url" content="https://example.org/og">'
    )
    assert read(page).canonical == "https://example.org/first/"
    assert read(page, base_url="http://example.org/x/").canonical == "http://example.org/relative"
    assert read(page.replace("anonical", "x").replace("ANONICAL", "x")).canonical == "https://example.org/og"


# Dates -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024/3/5", "2024-03-05"),
        ("20240305", "2024-03-05"),
        ("20240305T101500Z", "2024-03-05T10:15:00Z"),
        ("2024-03-05T10:00", "2024-03-05T10:00"),
        ("2024-03-05T10:00:00.123456+05:30", "2024-03-05T10:00:00.123456+05:30"),
        ("2024-03-05 10:00:00 -08", "2024-03-05T10:00:00-08:00"),
        ("2024-03-05 10:00 UTC", "2024-03-05T10:00Z"),
        ("2024-03-05 10:00:00 PST", "2024-03-05"),
        ("2024-03-05 10:00 PM", "2024-03-05"),
        ("Tue, 05 Mar 2024 10:00:00 GMT", "2024-03-05T10:00:00Z"),
        ("Tue Mar 05 2024 10:00:00 GMT+0100 (Central European Time)", "2024-03-05T10:00:00+01:00"),
        ("March 5, 2024", "2024-03-05"),
        ("5th September 2024", "2024-09-05"),
        ("Sept. 5, 2024", "2024-09-05"),
        ("1889-05-06", "1889-05-06"),
        *(
            (text, None)
            for text in (
                *(
                    "",
                    "yesterday",
                    "2023-02-29",
                    "2024-13-01",
                    "2024-00-10",
                    "2024-04-31",
                    "0000-00-00 00:00:00",
                    "0001-01-01",
                ),
                *(
                    "1970-01-01T00:00:00Z",
                    "2024-03-05T25:00:00Z",
                    "2024-03-05T10:61",
                    "2024-03-05T10:00:00+19:00",
                    "05/03/2024",
                ),
                *(
                    "2024",
                    "2024-03",
                    "May 2024",
                    "1709632800",
                    "-0001-11-30",
                    "2024-03-0512",
                    "２０２４-03-05",
                    "Mar 32, 2024",
                    "3024-01-01",
                ),
            )
        ),
    ],
)
def test_dates(text: str, date: str | None) -> None:
    assert iso_date(text) == date


def test_which_date_counts() -> None:
    time = '<time datetime="2024-05-05">later</time><time datetime="2024-04-04" itemprop="datePublished">now</time>'
    name = '<meta name="date" content="2024-03-03">'
    script = '<script type="application/ld+json">{"@type": "Article", "datePublished": "2024-02-02"}</script>'
    graph = '<meta property="article:published_time" content="2024-01-01">'
    assert read(time).published == "2024-04-04"
    assert read(time + name).published == "2024-03-03"
    assert read(time + name + script).published == "2024-02-02"
    assert read(time + name + script, structured=StructuredData(published="2021-01-01")).published == "2021-01-01"
    assert read(time + name + script + graph).published == "2024-01-01"
    assert read(name + script + graph.replace("2024-01-01", "2024-31-01")).published == "2024-02-02"
    assert read('<time datetime="2024-05-05">').published is None, "a date that is not said to be of publication"


# What owners ask -------------------------------------------------------------------------------------------------------


def rules(content: str, name: str = "robots") -> UsageSignals:
    return read(f'<meta name="{name}" content="{content}">')


def test_rules_of_robots() -> None:
    assert rules("none").noindex
    assert rules("INDEX; NOINDEX").noindex, "of rules that contradict each other the stricter counts"
    assert not rules("noindexing, index, nofollow, max-image-preview:none-at-all").noindex
    assert rules("noml").noai
    assert (rules("noimageai").noai, rules("noimageai").noimageai) == (False, True)
    both = read('<meta name="robots" content="noai"><meta name="robots" content="noindex">')
    assert (both.noai, both.noindex) == (True, True)


def test_a_rule_for_one_crawler_is_no_rule_for_others() -> None:
    page = '<meta name="Googlebot" content="noindex"><meta name="GPTBot" content="noai"><meta property="robots" content="index">'
    assert read(page) == PageMetadata()
    asked = read(page, agents=frozenset({"robots", "gptbot"}))
    assert (asked.noindex, asked.noai) == (False, True)
    assert not read('<meta name="robots" content="noindex">', agents=frozenset({"gptbot"})).noindex


@pytest.mark.parametrize(
    ("content", "reserved"), [("1", True), (" 0 ", False), ("true", None), ("2", None), ("", None)]
)
def test_tdm_reservation(content: str, reserved: bool | None) -> None:
    assert rules(content, "TDM-Reservation").tdm_reservation is reserved
    assert header_signals(tdm_reservation=content).tdm_reservation is reserved


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("noindex", UsageSignals(noindex=True)),
        (["nofollow", "NOAI , noimageai"], UsageSignals(noai=True, noimageai=True)),
        ("googlebot: noindex, noai", UsageSignals()),
        ("googlebot: nofollow, *: noai, otherbot: noindex", UsageSignals(noai=True)),
        (["googlebot: noindex", "noai"], UsageSignals(noai=True)),
        ("GPTBot: noai", UsageSignals(noai=True)),
        ("max-snippet: 20, max-image-preview:none, noindex", UsageSignals(noindex=True)),
        ("unavailable_after: Wed, 03 Dec 2025 13:09:53 GMT, noindex", UsageSignals(noindex=True)),
        (None, UsageSignals()),
        ([None, 5, "none"], UsageSignals(noindex=True)),
        (":::,,:", UsageSignals()),
    ],
)
def test_header_fields(fields: str | list[str] | None, expected: UsageSignals) -> None:
    assert header_signals(fields, agents=frozenset({"robots", "gptbot"})) == expected


def test_headers_add_to_robots_rules_and_give_way_to_tdm_properties_of_the_page() -> None:
    headers = header_signals("noai", "1", "/terms", base_url="https://example.org/a")
    assert headers.tdm_policy == "https://example.org/terms"
    found = read('<meta name="robots" content="noindex">', headers=headers)
    assert (found.noindex, found.noai, found.tdm_reservation, found.tdm_policy) == (
        True,
        True,
        True,
        headers.tdm_policy,
    )
    found = read('<meta name="tdm-reservation" content="0">', headers=headers)
    assert (found.noai, found.tdm_reservation, found.tdm_policy) == (True, False, None)


# Anything --------------------------------------------------------------------------------------------------------------


def test_marks_outside_of_the_page_and_of_unknown_kinds_are_passed_over() -> None:
    page = b'<html lang="en"><title>T</title>'
    good = marks_of(page).tolist()
    rows = [(HTML, -16, 16), (TITLE, 5, 999), (META, 9, 9), (99, 0, 16), (-1, 0, 16), (LINK, 20, 3)]
    assert page_metadata(page, [*rows, *good]) == PageMetadata(title="T", language="en")
    assert page_metadata(page, []) == PageMetadata()
    assert page_metadata(b'ab lang="fr">', [(HTML, -12, 3)]) == PageMetadata(), "places are not counted from the end"


def test_more_declarations_than_are_kept_leave_the_first() -> None:
    page = '<html lang="en">' + '<meta name="date" content="2024-03-05">' * (2 * MOST_DECLARATIONS)
    assert read(page).published == "2024-03-05"


@pytest.mark.parametrize(
    "piece", ["a ", "a=", "a='", 'a="', "=", "/", '"', "'", "content='x' ", "name=robots ", "&#1", "\0"]
)
def test_tags_without_end(piece: str) -> None:
    page = ("<meta name='robots' " + piece * 100_000).encode()
    assert not page_metadata(page, [(META, 0, len(page)), (LINK, 0, len(page)), (HTML, 0, len(page))]).noindex


tags = st.sampled_from(
    [
        *(
            "<meta ",
            "<link ",
            "<html ",
            "<time ",
            ">",
            " name=",
            " property=",
            " content=",
            " lang=",
            " rel=",
            " href=",
            '"',
            "'",
        ),
        *(
            "robots",
            "noindex",
            "og:title",
            "og:url",
            "canonical",
            "https://",
            "//",
            "[",
            "]",
            "@",
            "#",
            "&#",
            ";",
            "&amp;",
            "date",
        ),
        *(
            "datetime=",
            "pubdate",
            "2024-03-05",
            "T10:00",
            "99",
            "tdm-policy",
            "é",
            "\0",
            "\n",
            "en",
            "-",
            "</title>",
            "=",
        ),
    ]
)


@given(
    st.lists(tags, max_size=40).map("".join),
    st.lists(st.tuples(st.integers(-1, 8), st.integers(-5, 200), st.integers(-5, 200)), max_size=30),
    st.none() | st.sampled_from(["", "https://example.org/a", "http://[", "x", "mailto:a"]),
)
def test_no_page_and_no_marks_raise(page: str, marks: list[tuple[int, int, int]], base: str | None) -> None:
    data = page.encode()
    for rows in (np.array(marks, np.int64).reshape(-1, 3), marks, marks_of(data)):
        found = page_metadata(data, rows, base_url=base)
        assert found.title is None or (0 < len(found.title) <= 500 and found.title == found.title.strip())
        assert found.canonical is None or re.match(r"https?://[^/@#]+/[^#]*\Z", found.canonical)
        assert found == page_metadata(data, rows, base_url=base)


@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 300), st.integers(0, 300)), max_size=30),
)
def test_no_bytes_raise(page: bytes, marks: list[tuple[int, int, int]]) -> None:
    assert isinstance(page_metadata(page, marks), PageMetadata)


@given(st.text(alphabet=string.digits + "-/:.TZ+ ,gmtMarch ", max_size=30))
def test_a_date_that_is_read_stays_as_it_is(text: str) -> None:
    date = iso_date(text)
    assert date is None or iso_date(date) == date


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_url_that_is_read_stays_as_it_is(host: str, rest: str) -> None:
    url = web_url(f"https://{host}/{rest}")
    assert url is None or web_url(url) == url
