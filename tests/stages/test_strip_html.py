"""HTML to text: engines, guards, fallbacks; and pages made to stop a parser."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import DOCUMENTS, Document, Drop, RecipeError
from corpusmill.stages import strip_html
from corpusmill.stages.strip_html import StripHtml, transport_charset

SENTENCES = [f"Sentence number {n} tells a little about the old mill by the river." for n in range(5)]
BODY = "".join(f"<p>{sentence}</p>" for sentence in SENTENCES)
TEXT = "\n\n".join(SENTENCES)
ENGINES = ["resiliparse", "text", "bs4"]


def strip(html: bytes | str | None, **options: object) -> tuple[Document, Drop | None]:
    metadata = options.pop("metadata", None)
    document = Document(html=html, metadata=metadata)  # type: ignore[arg-type]
    result = StripHtml(**options).build()(document)  # type: ignore[arg-type]
    assert document.html is None
    assert document.text.encode() is not None
    return document, result if isinstance(result, Drop) else None


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_reads_paragraphs(engine: str) -> None:
    document, drop = strip(f"<html><head><title>No</title></head><body>{BODY}</body></html>", engine=engine)
    assert drop is None
    assert document.text == TEXT
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


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE)
def test_visible_text_is_never_lost(engine: str, name: str) -> None:
    if engine == "bs4" and name.startswith(("200,000", "100,000", "stray")):
        pytest.skip("linear, but a second or more in pure Python")
    document, drop = strip(HOSTILE[name].encode(), engine=engine)
    assert drop is None
    for sentence in SENTENCES:
        assert document.text.count(sentence) == 1
    assert "let a" not in document.text


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("".join(f"<p><b id={n}>x" for n in range(20_000)), "\n\n".join("x" * 20_000)),
        (
            "a <y and " + " ".join(f"w{n}" for n in range(100_000)),
            "a <y and " + " ".join(f"w{n}" for n in range(100_000)),
        ),
        ("<p>" + "word and " * 1_000_000 + "</p>", ("word and " * 1_000_000).strip()),
        ("<div>" * 1000 + "text " * 1_000_000, ("text " * 1_000_000).strip()),
        ("<" * 200_000, "<" * 200_000),
        ("&amp;" * 200_000, "&" * 200_000),
    ],
    ids=[
        "formatting left open",
        "prose after a stray bracket",
        "one paragraph",
        "much text, deep down",
        "brackets",
        "entities",
    ],
)
def test_costly_pages_finish_and_keep_their_text(page: str, expected: str) -> None:
    assert strip(page)[0].text == expected


@pytest.mark.parametrize(
    "unit",
    ["<p ", '<a "', "<!--", "<![CDATA[", "<script>", "<svg><b>", "<b><div></b>", "<form><div></form>", "\t", "&#x"],
)
def test_hostile_repetition_finishes(unit: str) -> None:
    for engine in ("resiliparse", "text"):
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


def test_depth_limit() -> None:
    page = "<div>" * 40 + BODY
    assert strip(page)[0].signals["html_engine"] == "resiliparse"
    assert strip(page, maximum_depth=20)[0].signals["html_engine"] == "depth_fallback"
    siblings = "<article>" + "<p>a line<br><img src=x>" * 200
    assert strip(siblings, maximum_depth=20)[0].signals["html_engine"] == "resiliparse"


def test_a_crumb_of_main_content_is_not_enough() -> None:
    items = "".join(
        f"<div class=menu><a href=/{n}>Volume {n} of the parish register with notes</a></div>" for n in range(60)
    )
    page = f"<body><p>Parish.</p><nav>{items}</nav></body>"
    assert strip(page, minimum_share=0.0)[0].text == "Parish."
    document, _ = strip(page)
    assert document.signals["html_engine"] == "text_fallback"
    assert "Volume 59 of the parish register" in document.text


def test_without_fallback_nothing_is_guessed() -> None:
    for engine in ENGINES:
        document, drop = strip(HOSTILE["only noscript"], engine=engine, fallback=False)
        assert drop is not None
        assert drop.reason == "empty"
        assert document.signals["html_engine"] == engine


def test_preparation_leaves_ordinary_pages_alone() -> None:
    page = f"<body class='a b'>{BODY}<p><b>one</b> <i>two</i></p></body>" * 50
    assert strip_html._tamed(page) is page
    data = "<body data-x='" + "x " * 20_000 + "'>" + BODY
    assert strip_html._tamed(data) is data


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
