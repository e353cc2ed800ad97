"""HTML to text: engines, guards, fallbacks; and pages made to stop a parser."""

from __future__ import annotations

import importlib.util
import json
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import DOCUMENTS, Document, Drop, RecipeError
from corpusmill.stages import html_resiliparse
from corpusmill.stages.strip_html import StripHtml, transport_charset

SENTENCES = [f"Sentence number {n} tells a little about the old mill by the river." for n in range(5)]
BODY = "".join(f"<p>{sentence}</p>" for sentence in SENTENCES)
TEXT = "\n\n".join(SENTENCES)
ENGINES = ["fast", "resiliparse", "text", "bs4"]
HAS_TRAFILATURA = importlib.util.find_spec("trafilatura") is not None
ALL_ENGINES = [
    *ENGINES,
    pytest.param(
        "trafilatura", marks=pytest.mark.skipif(not HAS_TRAFILATURA, reason="the extra trafilatura is not installed")
    ),
]


def strip(html: bytes | str | None, **options: object) -> tuple[Document, Drop | None]:
    metadata = options.pop("metadata", None)
    document = Document(html=html, metadata=metadata)  # type: ignore[arg-type]
    result = StripHtml(**options).build()(document)  # type: ignore[arg-type]
    assert document.html is None
    assert document.text.encode() is not None
    return document, result if isinstance(result, Drop) else None


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_every_engine_reads_paragraphs(engine: str) -> None:
    document, drop = strip(f"<html><head><title>No</title></head><body>{BODY}</body></html>", engine=engine)
    assert drop is None
    assert document.text == (TEXT.replace("\n\n", "\n") if engine == "trafilatura" else TEXT)
    assert document.signals["html_engine"] == engine
    assert document.signals["encoding"] is None if "encoding" in document.signals else True


HOSTILE = {
    "50,000 nested elements": "<div>" * 50_000 + BODY + "</div>" * 50_000,
    "200,000 unclosed elements": "<div>" * 200_000 + BODY,
    "20,000 nested drawings": "<svg>" * 20_000 + BODY,
    "30,000 nested tables": "<table>" * 30_000 + BODY,
    "100,000 options": "<select>" + "<option>x" * 100_000 + "</select>" + BODY,
    "stray end tags": "</div>" * 200_000 + BODY,
    "comment without end": "<body><!-- " + BODY,
    "50,000 comments without end": BODY + "<!--" * 50_000,
    "quote without end": '<body><a href="x>' + BODY,
    "script without end": "<body><script>let a = 1;" + BODY,
    "title without end": "<title>" + BODY,
    "textarea without end": "<textarea>" + BODY,
    "only noscript": f"<body><noscript>{BODY}</noscript>",
    "only a shadow root": f"<body><my-app><template shadowrootmode=open>{BODY}</template></my-app>",
    "frameset": f"<frameset><frame src=x><noframes>{BODY}</noframes></frameset>",
    "hidden until a script runs": f"<body style='display:none'>{BODY}</body>",
}


@pytest.mark.parametrize("engine", ALL_ENGINES)
@pytest.mark.parametrize("name", HOSTILE)
def test_visible_text_is_never_lost(engine: str, name: str) -> None:
    if engine == "bs4" and name.startswith(("200,000", "100,000", "stray")):
        pytest.skip("linear, but a second or more in pure Python")
    if engine == "trafilatura" and name.startswith("100,000"):
        pytest.skip("four seconds")
    document, drop = strip(HOSTILE[name].encode(), engine=engine)
    assert drop is None
    for sentence in SENTENCES:
        assert document.text.count(sentence) == 1
    assert "let a" not in document.text


NUMBERED = " ".join(f"w{n}" for n in range(100_000))
COSTLY = {
    "formatting left open": (
        "".join(f"<p><b id={n}>Paragraph {n} of the old ledger" for n in range(20_000)),
        [word for n in range(20_000) for word in ("Paragraph", str(n), "of", "the", "old", "ledger")],
    ),
    "prose after a stray bracket": (f"a <y and {NUMBERED}", f"a <y and {NUMBERED}".split()),
    "one paragraph": ("<p>" + "word and " * 1_000_000 + "</p>", ["word", "and"] * 1_000_000),
    "much text, deep down": ("<div>" * 1000 + "text " * 1_000_000, ["text"] * 1_000_000),
    "brackets": ("<" * 200_000, ["<" * 200_000]),
    "entities": ("&amp;" * 200_000, ["&" * 200_000]),
}


@pytest.mark.parametrize("engine", ["fast", "resiliparse", "text"])
@pytest.mark.parametrize("name", COSTLY)
def test_costly_pages_finish_and_keep_their_text(engine: str, name: str) -> None:
    """Words are compared: paragraphs after the 16,384th block are joined by line breaks."""
    page, expected = COSTLY[name]
    is_whole = strip(page, engine=engine)[0].text.split() == expected
    assert is_whole  # pytest would look for the differences of a million words


def test_formatting_left_open_keeps_its_paragraphs() -> None:
    page = "".join(f"<p><b id={n}>x" for n in range(20_000))
    is_same = strip(page, engine="resiliparse")[0].text == "\n\n".join("x" * 20_000)
    assert is_same
    assert strip(page, engine="text")[0].text.split() == ["x"] * 20_000


@pytest.mark.parametrize(
    "unit",
    ["<p ", '<a "', "<!--", "<![CDATA[", "<script>", "<svg><b>", "<b><div></b>", "<form><div></form>", "\t", "&#x"],
)
def test_hostile_repetition_finishes(unit: str) -> None:
    for engine in ("fast", "resiliparse", "text"):
        strip(unit * (200_000 // len(unit)), engine=engine)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div",
                " a='",
                '"',
                ">",
                "<!--",
                "-->",
                "<script>",
                "</script>",
                "<pre>",
                "x",
                " ",
                "\x00",
                "\ud800",
                "é",
                "<br>",
                "<td>",
            ]
        )
    ).map("".join)
)
def test_no_page_raises(page: str) -> None:
    for engine in ENGINES:
        document, drop = strip(page, engine=engine)
        assert (drop is None) == bool(document.text)
        assert "\x00" not in document.text


def test_lone_surrogates_become_question_marks() -> None:
    assert strip("<p>a\ud800b</p>")[0].text == "a?b"


def test_text_input_is_left_alone() -> None:
    document = Document(text="a < b")
    assert StripHtml().build()(document) is document
    assert (document.text, document.signals) == ("a < b", {})


def test_the_charset_of_the_transport_is_used() -> None:
    page = "<p>Старая мельница у моста</p>".encode("koi8-r")
    metadata = json.dumps({"status": 200, "content_type": 'text/html; charset="KOI8-R"'})
    document, _ = strip(page, metadata=metadata)
    assert document.text == "Старая мельница у моста"
    assert document.signals["encoding"] == "koi8-r"


@pytest.mark.parametrize(
    ("metadata", "charset"),
    [
        (None, None),
        ("", None),
        ("not json content_type", None),
        ('{"content_type": 5}', None),
        ('["content_type"]', None),
        ('{"content_type": "text/html"}', None),
        ('{"content_type": "text/html;charset=utf-8; q=1"}', "utf-8"),
        ('{"content_type": "text/html; CHARSET = \'gbk\'"}', "gbk"),
    ],
)
def test_transport_charset(metadata: str | None, charset: str | None) -> None:
    assert transport_charset(metadata) == charset


@pytest.mark.parametrize("codec", ["cp949", "gb18030", "cp932", "utf-16"])
def test_legacy_pages(codec: str) -> None:
    text = {"cp949": "오래된 물레방아가 봄에 다시 돌아간다", "gb18030": "桥边的老磨坊今年春天又开始磨面了"}.get(
        codec, "川のそばの水車小屋は今日もそうである"
    )
    assert strip(f"<html><body><p>{text}</p></body></html>".encode(codec))[0].text == text


def test_size_limit_counts_bytes() -> None:
    assert strip("<p>é</p>", maximum_bytes=9)[1] is None
    document, drop = strip("<p>é</p>", maximum_bytes=8)
    assert drop == Drop("too_large", value=9, limit=8)
    assert document.signals == {"html_bytes": 9}


def test_depth_limit_of_resiliparse() -> None:
    page = "<div>" * 40 + BODY
    assert strip(page, engine="resiliparse")[0].signals["html_engine"] == "resiliparse"
    assert strip(page, engine="resiliparse", maximum_depth=20)[0].signals["html_engine"] == "depth_fallback"
    siblings = "<article>" + "<p>a line<br><img src=x>" * 200
    shallow = strip(siblings, engine="resiliparse", maximum_depth=20)[0]
    assert shallow.signals["html_engine"] == "resiliparse"


LIST_PAGE = "".join(
    f"<div class=menu><a href=/{n}>Volume {n} of the parish register with notes</a></div>" for n in range(60)
)
LIST_PAGE = f"<body><p>Parish.</p><nav>{LIST_PAGE}</nav></body>"


def test_a_crumb_of_main_content_is_not_enough() -> None:
    assert strip(LIST_PAGE, engine="resiliparse", minimum_share=0.0)[0].text == "Parish."
    document, _ = strip(LIST_PAGE, engine="resiliparse")
    assert document.signals["html_engine"] == "text_fallback"
    assert "Volume 59 of the parish register" in document.text


def test_the_list_of_a_page_with_nothing_else_is_its_content() -> None:
    document, _ = strip(LIST_PAGE)
    assert document.signals["html_engine"] == "fast"
    assert [document.text.count(f"Volume {n} of the parish register") for n in range(60)] == [1] * 60


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["script without end", "only noscript"])
def test_without_fallback_nothing_is_guessed(engine: str, name: str) -> None:
    document, drop = strip(HOSTILE[name], engine=engine, fallback=False)
    assert document.signals["html_engine"] == engine
    if name == "only noscript" and engine in ("fast", "text"):  # read by rule, not by guess: it is most of the text
        assert document.text == TEXT
    else:
        assert drop is not None
        assert drop.reason == "empty"


def test_noscript_is_read_only_where_it_holds_most_of_the_text() -> None:
    note = "<noscript><p>Please switch scripts on to see the opening hours of the old mill by the river.</p></noscript>"
    for engine in ("fast", "text"):
        assert strip(f"<body>{note}{BODY}</body>", engine=engine)[0].text == TEXT
        assert strip(f"<body><p>Loading</p><noscript>{BODY}</noscript>", engine=engine)[0].text.endswith(TEXT)


def test_preparation_leaves_ordinary_pages_alone() -> None:
    page = f"<body class='a b'>{BODY}<p><b>one</b> <i>two</i></p></body>" * 50
    assert html_resiliparse._tamed(page) is page
    data = "<body data-x='" + "x " * 20_000 + "'>" + BODY
    assert html_resiliparse._tamed(data) is data


def test_batches_keep_their_types() -> None:
    rows = [
        {"id": "1", "html": f"<body>{BODY}".encode()},
        {"id": "2", "text": "plain"},
        {"id": "3", "html": b"<script>x</script>"},
    ]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENTS)
    out, verdicts = StripHtml().judge(batch)
    assert out.schema.field("html").type == pa.large_binary()
    assert out.schema.field("text").type == pa.large_string()
    assert out.column("text").to_pylist() == [TEXT, "plain", ""]
    assert out.column("html").null_count == 3
    assert [v and v["reason"] for v in verdicts.to_pylist()] == [None, None, "empty"]


def test_settings_are_checked() -> None:
    with pytest.raises(RecipeError, match="engine"):
        StripHtml(engine="lynx")  # type: ignore[arg-type]


HEAD = """<html lang="en-GB"><head><title>Hours of the mill</title><link rel=canonical href="https://example.org/mill">
<meta name=robots content="noindex, noai"><meta name=tdm-reservation content=1>
<meta property="article:published_time" content="2024-05-01T09:00:00Z"></head>"""
VISIT = """<p>The mill is open to <a href="/visit">visitors who come by boat</a> on these days, and the miller shows how
flour is made.</p><ul><li>Boots are needed on the wet stairs.</li><li>Dogs stay at the gate, in the shade.</li></ul>
<table><tr><th>Day</th><th>From</th></tr><tr><td>Saturday</td><td>10:00</td></tr></table>
<pre>wheel = 4
  stone = 2</pre><h2>The wheel</h2><blockquote>We never thought that we would see it turn.</blockquote>"""


@pytest.mark.parametrize(
    ("options", "there", "gone"),
    [
        (
            {},
            ["Boots", "visitors who come", "Day\tFrom\nSaturday\t10:00", "wheel = 4\n  stone = 2"],
            ["- Boots", "/visit"],
        ),
        ({"lists": True}, ["\n- Boots are", "\n- Dogs stay"], ["# "]),
        ({"links": "drop"}, ["open to on these days"], ["visitors"]),
        ({"links": "markdown"}, ["open to [visitors who come by boat](/visit) on"], []),
        ({"tables": False}, ["Dogs", "wheel = 4"], ["Day", "10:00"]),
        (
            {"output": "markdown"},
            [
                "\n- Boots are",
                "| Day | From |\n|---|---|\n| Saturday | 10:00 |",
                "```\nwheel = 4\n  stone = 2\n```",
                "## The wheel",
                "> We never",
            ],
            ["Day\tFrom"],
        ),
    ],
)
def test_what_is_written_and_how(options: dict[str, object], there: list[str], gone: list[str]) -> None:
    text = strip(f"{HEAD}<body>{VISIT}</body></html>", engine="text", **options)[0].text
    assert [part for part in there if part not in text] == []
    assert [part for part in gone if part in text] == []


def test_what_the_page_declares_is_a_signal() -> None:
    for engine in ENGINES:
        signals = strip(f"{HEAD}<body>{BODY}</body></html>", engine=engine)[0].signals
        declared = {name: signals[name] for name in ("title", "canonical_url", "noindex", "noai", "tdm_reservation")}
        assert declared == {
            "title": "Hours of the mill",
            "canonical_url": "https://example.org/mill",
            "noindex": True,
            "noai": True,
            "tdm_reservation": True,
        }
        assert signals["declared_language"].lower() == "en-gb"
        assert signals["published"].startswith("2024-05-01")
    document = Document(html=f"{HEAD}<body>{BODY}</body></html>")
    StripHtml(metadata=False).build()(document)
    assert "title" not in document.signals


@pytest.mark.parametrize(
    ("url", "link", "canonical"),
    [
        ("https://example.org/a/b?c#d", "../mill", "https://example.org/mill"),
        ("https://example.org/a/", "//example.net/x", "https://example.net/x"),
        ("https://me:secret@example.org/a", "/mill", "https://example.org/mill"),
        ("https://example.org/a", "https://example.net/", "https://example.net/"),
        (None, "/mill", None),
        ("", "/mill", None),
        ("http://[broken", "/mill", None),
        ("https://example.org/", "//[broken/x", None),
        ("urn:isbn:0", "/mill", None),
        ("no url", "mill", None),
        ("http://\ud800.example/", "/mill", None),
    ],
)
def test_relative_canonical_links_count_from_the_url(url: str | None, link: str, canonical: str | None) -> None:
    page = f"<link rel=canonical href='{link}'>{BODY}"
    for engine in ENGINES:
        document = Document(html=page, url=url)
        StripHtml(engine=engine).build()(document)  # type: ignore[arg-type]
        assert document.signals["canonical_url"] == canonical


def test_the_url_is_taken_from_its_column() -> None:
    page = f"<link rel=canonical href=/mill>{BODY}".encode()
    rows = pa.RecordBatch.from_pylist([{"id": "1", "html": page, "url": "https://example.org/a"}], DOCUMENTS)
    assert StripHtml()(rows).column("signals.canonical_url").to_pylist() == ["https://example.org/mill"]
    assert StripHtml()(rows.select(["id", "html", "text"])).column("signals.canonical_url").to_pylist() == [None]
    numbers = rows.set_column(rows.schema.get_field_index("url"), "url", pa.array([5]))
    assert StripHtml()(numbers).column("signals.canonical_url").to_pylist() == [None]


def asked(sent: object, page: str | None = f"<body>{BODY}", **options: object) -> tuple[object, ...]:
    document = Document(html=page, metadata=sent if isinstance(sent, str) else json.dumps(sent))
    StripHtml(**options).build()(document)  # type: ignore[arg-type]
    return tuple(document.signals.get(name, "nothing") for name in ("noindex", "noai", "tdm_reservation"))


RESERVED = "<meta name=tdm-reservation content=0><meta name=robots content=noindex>"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_header_asked_is_a_signal(engine: str) -> None:
    assert asked({"x_robots_tag": ["nofollow", "NoIndex"]}, engine=engine) == (True, False, None)
    assert asked({"x_robots_tag": "noai", "tdm_reservation": "1"}, engine=engine) == (False, True, True)
    sent = {"x_robots_tag": ["noai"], "tdm_reservation": "1"}
    assert asked(sent, RESERVED + BODY, engine=engine) == (True, True, False)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"x_robots_tag": ["googlebot: noindex, noai"]}, (False, False, None)),
        ({"x_robots_tag": ["otherbot: noindex", "noai"]}, (False, True, None)),
        ({"x_robots_tag": ["*: noindex"]}, (True, False, None)),
        ({"x_robots_tag": 5, "tdm_reservation": 1}, (False, False, None)),
        ({"x_robots_tag": [None, {}, "none"], "tdm_reservation": ["1"]}, (True, False, None)),
        ({"x_robots_tag": {"a": "noindex"}, "tdm_reservation": "2"}, (False, False, None)),
        ('{"x_robots_tag": ["noindex"]', (False, False, None)),
        ('["x_robots_tag"]', (False, False, None)),
        ('{"x_robots_tag": ' + "[" * 100_000, (False, False, None)),
    ],
)
def test_headers_of_all_kinds(metadata: object, expected: tuple[object, ...]) -> None:
    assert asked(metadata) == expected


def test_text_has_the_signals_of_its_header() -> None:
    assert asked({"x_robots_tag": ["noindex"]}, None) == (True, False, None)
    assert asked({"content_type": "text/plain"}, None) == ("nothing",) * 3
    assert asked({"x_robots_tag": ["noindex"]}, None, metadata=False) == ("nothing",) * 3


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(RecipeError, match=r"pip install 'corpusmill\[trafilatura\]'"):
        StripHtml(engine="trafilatura").build()


@pytest.mark.skipif(not HAS_TRAFILATURA, reason="the extra trafilatura is not installed")
def test_trafilatura_takes_its_settings() -> None:
    comment = "<div id=comments class=comments><p>I came in spring and took five pounds of rye home with us.</p></div>"
    page = f"{HEAD}<body><article>{BODY}{VISIT}</article>{comment}</body></html>"
    assert "Saturday" in strip(page, engine="trafilatura")[0].text
    assert "Saturday" not in strip(page, engine="trafilatura", tables=False)[0].text
    assert "five pounds" in strip(page, engine="trafilatura")[0].text
    assert "five pounds" not in strip(page, engine="trafilatura", comments=False)[0].text
