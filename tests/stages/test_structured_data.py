"""JSON-LD of pages: which texts are taken, what is read that is not JSON, and limits that hold for any input."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages import structured_data as module
from corpusmill.stages import tolerant_json
from corpusmill.stages.structured_data import (
    JSON_LD,
    MAXIMUM_BYTES,
    Post,
    StructuredData,
    plain_text,
    structured_data,
    unescaped,
)
from corpusmill.stages.tolerant_json import MAXIMUM_DEPTH, MAXIMUM_NODES, read_json, read_tolerantly

SCRIPT = re.compile(rb"<script type=\"application/ld\+json\">(.*?)</script>", re.DOTALL)
OPENING = '<script type="application/ld+json">'


def read(*blocks: Any) -> StructuredData:
    """What a page with these blocks gives; a block that is no string is written as JSON."""
    texts = (block if isinstance(block, str) else json.dumps(block) for block in blocks)
    page = "<p>Before</p>" + "".join(f"{OPENING}{text}</script>" for text in texts)
    data = page.encode("utf-8", "surrogatepass")
    marks = [(JSON_LD, *found.span(1)) for found in SCRIPT.finditer(data)]
    return structured_data(data, np.array(marks, np.int64).reshape(-1, 3))


# What is taken ---------------------------------------------------------------------------------------------------------


def test_an_article_in_a_graph() -> None:
    found = read(
        {
            "@context": "https://schema.org",
            "@graph": [
                {"@type": "WebPage", "headline": "The page", "datePublished": "2023-01-01"},
                {"@type": ["NewsArticle", "https://schema.org/Article"], "headline": "A mill &amp; its river"},
                {
                    "@type": "schema:BlogPosting",
                    "articleBody": "The mill turns.\nThe river runs.",
                    "datePublished": "2024-05-06",
                },
                {"@type": "Book", "datePublished": "1850"},
            ],
        }
    )
    assert found == StructuredData(
        article_bodies=("The mill turns.\nThe river runs.",),
        headline="A mill & its river",
        published="2024-05-06",
        types=("WebPage", "NewsArticle", "Article", "BlogPosting", "Book"),
    )


def test_a_thread_comes_in_the_order_of_the_page_each_post_before_its_replies() -> None:
    reply = {"@type": "Comment", "text": "Second", "comment": [{"@type": "Comment", "text": "Third"}]}
    found = read(
        {
            "@type": "DiscussionForumPosting",
            "comment": [reply, {"@type": "Comment", "text": "Fourth"}, "stray", None],
            "text": "First",
        }
    )
    assert [(post.kind, post.text) for post in found.posts] == [
        ("post", "First"),
        ("comment", "Second"),
        ("comment", "Third"),
        ("comment", "Fourth"),
    ]
    assert found.article_bodies == ()


def test_the_longer_of_text_and_article_body_is_the_post() -> None:
    assert read({"@type": "DiscussionForumPosting", "text": "Short", "articleBody": "Long enough"}).posts == (
        Post("post", "Long enough"),
    )


def test_questions_and_answers_and_lists_of_frequent_questions_are_told_apart() -> None:
    question = {
        "@type": "Question",
        "name": "Which way?",
        "acceptedAnswer": {"@type": "Answer", "text": "<p>Up &gt; stream</p>"},
    }
    asked = read({"@type": "QAPage", "mainEntity": {**question, "text": "Which way does it turn?"}})
    assert asked.posts == (Post("question", "Which way does it turn?"), Post("answer", "Up > stream"))
    assert asked.faq == ()
    answers = {
        "suggestedAnswer": [{"@type": "Answer", "text": "B"}],
        "acceptedAnswer": {"@type": "Answer", "text": "A"},
    }
    assert [post.text for post in read({"@type": "Question", "text": "Q", **answers}).posts] == ["Q", "B", "A"]
    listed = read({"@type": "FAQPage", "mainEntity": [question]})
    assert listed.faq == (Post("question", "Which way?"), Post("answer", "Up > stream"))
    assert listed.posts == ()
    assert read(question).posts[0] == Post("question", "Which way?"), "a question without a text is its name"


def test_products_of_the_page_but_not_those_it_lists() -> None:
    product = {"@type": "Product", "description": "A wheel of oak"}
    other = {"@type": "Product", "description": "A wheel of ash"}
    assert read(
        {**product, "isRelatedTo": [other], "review": {"@type": "Review", "description": "Good"}}
    ) == StructuredData(product_descriptions=("A wheel of oak",), types=("Product", "Review"))
    assert (
        read({"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": product}]}).product_descriptions
        == ()
    )
    assert read({"@type": "WebSite", "description": "Not a Product"}).product_descriptions == ()


def test_dates_and_headlines_of_comments_reviews_and_listed_articles_are_not_those_of_the_page() -> None:
    old = {"@type": "Article", "headline": "Old", "datePublished": "2001-01-01"}
    page = {"@type": "CollectionPage", "hasPart": [old], "mentions": old, "comment": [{**old, "@type": "Comment"}]}
    assert read(page, {"@type": "Review", "datePublished": "2002-02-02"}).published is None
    assert read({**page, "datePublished": "2003-03-03"}).published == "2003-03-03"
    assert read({**page, "datePublished": "2003-03-03"}, {**old, "@type": "Report"}).published == "2001-01-01"


def test_wrong_types_everywhere() -> None:
    found = read(
        {
            "@type": ["Article", 5, None, {"a": 1}],
            "articleBody": ["One", {"@value": "Two"}, 3, None, ["no"]],
            "headline": [{"@value": "Line"}],
            "datePublished": {"@value": "2020-02-02"},
            "comment": {"@type": "Comment", "text": {"text": "no"}},
        },
        {"@type": {"Article": 1}, "articleBody": 5, "headline": True},
        {"@type": [], "articleBody": {}},
        ["articleBody", [[["text"]]], {"articleBody": ["Three"]}],
    )
    assert found.article_bodies == ("One\n\nTwo", "Three")
    assert (found.headline, found.published, found.posts) == ("Line", "2020-02-02", ())


def test_types_are_noted_of_blocks_that_hold_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_json", lambda block: pytest.fail("parsed without need"))
    block = {
        "@type": "BreadcrumbList",
        "itemListElement": [{"@type": "http://schema.org/ListItem", "name": "description"}],
    }
    assert read(block, block) == StructuredData(types=("BreadcrumbList", "ListItem"))


def test_a_block_that_stands_twice_counts_once() -> None:
    block = {"@type": "Comment", "text": "Me too"}
    assert len(read(block, block).posts) == 1
    assert len(read([block, block]).posts) == 2, "two people may say the same"


def test_other_marks_and_marks_outside_of_the_page_are_passed_over() -> None:
    page = b'{"articleBody": "Text"}'
    rows = [(JSON_LD, -5, 10), (JSON_LD, 0, 999), (JSON_LD, 9, 3), (1, 0, len(page)), (JSON_LD, 0, len(page))]
    assert structured_data(page, rows).article_bodies == ("Text",)
    assert structured_data(page, rows[:-1]) == StructuredData()
    assert structured_data(b"", np.zeros((0, 3), np.int64)) == StructuredData()


# Text ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>One</p>\n<p>Two<br/>Three</p>", "One\n\nTwo\nThree"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("Line\r\n\r\n\r\n\r\nNext\rLast", "Line\n\nNext\nLast"),
        ("a < b and List<String> of <T>", "a < b and List<String> of <T>"),
        ("Caf&eacute;&nbsp;&#x2014; &amp;lt;", "Café — &lt;"),
        ("&lt;p&gt;Escaped &amp;amp; marked&lt;/p&gt;", "Escaped & marked"),
        ("Write &lt;div&gt; here", "Write <div> here"),
        ("<style>p{}</style><script>if (a<b) x()</script>Text<!-- no -->", "Text"),
        ("if x:\n    y()", "if x:\n    y()"),
        ("<pre>if x:\n    y()</pre>", "if x:\n    y()"),
        ("<b>Much</b>   space\n   here", "Much space\nhere"),
        ("zero\x00 \ufeffbyte", "zero byte"),
        ("<A HREF='x'>Link</A>.", "Link."),
        ("<!-- open <b>x</b>", "<!-- open x"),
    ],
)
def test_plain_text(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    "text", ["<!--" * 50_000, "<script>" * 50_000 + "</style>", "<a " * 100_000, "&#" * 100_000, "<p" * 100_000]
)
def test_text_that_opens_again_and_again_takes_linear_time(text: str) -> None:
    assert len(plain_text(text)) <= len(text)


def test_long_numeric_references_are_no_error() -> None:
    assert unescaped("&#" + "1" * 100_000 + "; &#x" + "f" * 100_000 + "; &#65;") == "\ufffd \ufffd A"


# JSON that is none -----------------------------------------------------------------------------------------------------

ARTICLE = '"@type": "Article", "articleBody"'


@pytest.mark.parametrize(
    ("block", "body"),
    [
        (f'{{{ARTICLE}: "Line\nbreak\tand\x0bmore"}}', "Line\nbreak\tand\x0bmore"),
        (f'<!-- {{{ARTICLE}: "In a comment"}} -->', "In a comment"),
        (f'//<![CDATA[\n{{{ARTICLE}: "In CDATA"}}\n//]]>', "In CDATA"),
        (f'/* <![CDATA[ */ {{{ARTICLE}: "In CDATA, too"}} /* ]]> */', "In CDATA, too"),
        (f'<![CDATA[{{{ARTICLE}: "Bare CDATA"}}]]>', "Bare CDATA"),
        (f'{{{ARTICLE}: "Spare", "a": [1, 2,],}};', "Spare"),
        (f'{{"a": "b"\n{ARTICLE}: "Missing comma" "c": 1}}', "Missing comma"),
        (f'{{"a": 1}}{{{ARTICLE}: "Second object"}}', "Second object"),
        (f'{{{ARTICLE}: "Noted", // why not\n /* and \n here */ "b": 1 # no\n}}', "Noted"),
        (f'{{{ARTICLE}: "See <a href="https://example.org/a">the "mill"</a>, then", "b": 1}}', 'See the "mill", then'),
        (f"{{{ARTICLE}: 'Single \"quotes\"', 'b': 'c'}}", 'Single "quotes"'),
        (f"{{{ARTICLE}: “Curly quotes”, “b”: “c”}}", "Curly quotes"),
        (f'{{{ARTICLE}: "It\\\'s \\x an \\escape"}}', "It's x an escape"),
        (f'{{{ARTICLE}: "Half a pair \\ud83d, a whole \\ud83d\\ude00"}}', "Half a pair \ufffd, a whole 😀"),
        (f'{{{ARTICLE}: "Never closed', "Never closed"),
        (f'{{{ARTICLE}: "Signs:\n{{\\"Mill\\"}}, \\"b\\": 1", "b": "\\\\"}}', 'Signs:\n{"Mill"}, "b": 1'),
        (f'{{"deep": {{"a": [1}}, {ARTICLE}: "Wrong ends"}}', "Wrong ends"),
        (f'{{bare: NaN, n: -1.5e3, {ARTICLE}: "Bare names"}}', "Bare names"),
        (f"{{{ARTICLE}: 'x'}}".replace('"', "&quot;").replace("'", "&quot;"), "x"),
        (f'\ufeff\n  {{{ARTICLE}: "Byte order mark"}}', "Byte order mark"),
        (f'{{"n": {"9" * 5000}, {ARTICLE}: "Long number"}}', "Long number"),
    ],
)
def test_rescued(block: str, body: str) -> None:
    found = read(block)
    assert found.article_bodies == (body,)
    assert found.rescued == 1


def test_invalid_bytes_are_replaced() -> None:
    page = b'{"articleBody": "caf\xe9"}'
    assert structured_data(page, [(JSON_LD, 0, len(page))]).article_bodies == ("caf\ufffd",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=60)
@given(
    st.lists(json_values, max_size=3) | st.dictionaries(st.text(max_size=10), json_values, max_size=3), st.booleans()
)
def test_the_tolerant_reader_reads_json_as_the_strict_one_does(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert read_tolerantly(text) == [value]
    assert read_json(text.encode()) == ([value], False)


# Limits ----------------------------------------------------------------------------------------------------------------


def nested(depth: int, body: str) -> str:
    """An object that lies in *depth* - 1 lists."""
    return "[" * (depth - 1) + json.dumps({"articleBody": body}) + "]" * (depth - 1)


def test_depth() -> None:
    assert read(nested(MAXIMUM_DEPTH, "Deep")).article_bodies == ("Deep",)
    assert read(nested(MAXIMUM_DEPTH + 1, "Deeper")).article_bodies == ()
    assert read(nested(100_000, "Deepest"), {"articleBody": "Other"}).article_bodies == ("Other",)
    after = f'[{nested(3000, "Deep")}, {{"articleBody": "After"}}]'
    assert read(after).article_bodies == ("After",)


def test_brackets_in_strings_do_not_count_as_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    block = json.dumps({"articleBody": "[{" * 200 + '"' + "]" * 7, "a": ["\\", '\\"]', "}", '"', "\\\\"]})
    balanced = (
        json.dumps({"articleBody": "]" * 3000, "a": nested(3000, "Deep")})[:-1]
        + ', "b": '
        + "[" * 3000
        + "]" * 3000
        + "}"
    )
    assert read(balanced).rescued == 1
    monkeypatch.setattr(tolerant_json, "read_tolerantly", lambda text: pytest.fail("read tolerantly without need"))
    assert read(block).rescued == 0
    assert len(read(block).article_bodies) == 1


def test_what_is_read_does_not_depend_on_the_depth_of_the_caller() -> None:
    block = f"[{nested(700, 'Deep')}, {nested(5, 'Shallow')}]"

    def below(levels: int) -> StructuredData:
        return below(levels - 1) if levels else read(block)

    assert below(0) == below(500)
    assert below(0).article_bodies == ("Shallow",)


def test_nodes() -> None:
    many = [{"@type": "Comment", "text": str(number)} for number in range(MAXIMUM_NODES + 500)]
    strict, tolerant = read(many), read(json.dumps(many)[:-1])
    assert len(strict.posts) == MAXIMUM_NODES - 1
    assert len(tolerant.posts) == MAXIMUM_NODES - 1
    assert strict.rescued == 0


def test_bytes() -> None:
    large = {"articleBody": "x" * (MAXIMUM_BYTES - 100)}
    found = read(large, {"articleBody": "y" * 200}, {"articleBody": "z"})
    assert [body[0] for body in found.article_bodies] == ["x", "z"], "what does not fit is passed over"


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "[]",
        '{"a":',
        "1,",
        '"a",',
        '"x" ',
        '"\n',
        '\\"',
        "\\q",
        "/*",
        "/*/",
        "//",
        "<!--",
        '{"a"',
        ":",
        '["',
        '",   "',
        "'",
        "“",
        "]",
    ],
)
def test_repeated_pieces(piece: str) -> None:
    for start in ("", '{"articleBody": "', '["articleBody", '):
        found = read(start + piece * 60_000)
        assert all(len(body) <= 60_000 * len(piece) for body in found.article_bodies)


pieces = st.sampled_from(
    [
        *(
            '{"@type": "Article", ',
            '"articleBody": ',
            '"text": "',
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            '"',
            "'",
            "\\",
            "\\u12",
            "\n",
        ),
        *(
            "//",
            "/*",
            "*/",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "null",
            "1e5",
            "-",
            "&lt;p&gt;",
            "<p>",
            "&#0;",
            "@graph",
            "“",
        ),
        *('{"@type": "Comment"', "\ud800", "\x00", "é", '"@type": ["Question"', '"description": "Product'),
    ]
)


@given(st.lists(pieces, max_size=40).map("".join))
def test_no_mixture_of_pieces_raises(text: str) -> None:
    found = read(text.replace("\ud800", "\\ud800"), text.encode("utf-8", "replace").decode())
    for body in (*found.article_bodies, *(post.text for post in found.posts)):
        assert body.encode("utf-8")


@given(
    st.binary(max_size=200).map(lambda data: b'{"articleBody": "' + data),
    st.lists(st.tuples(st.integers(-2, 9), st.integers(-300, 300), st.integers(-300, 300)), max_size=20),
)
def test_no_bytes_and_no_marks_raise(page: bytes, marks: list[tuple[int, int, int]]) -> None:
    assert isinstance(structured_data(page, np.array([*marks, (JSON_LD, 0, len(page))], np.int64)), StructuredData)
    assert isinstance(structured_data(page, marks), StructuredData)


@given(st.data())
def test_no_change_to_a_good_block_raises(data: st.DataObject) -> None:
    good = json.dumps(
        {
            "@graph": [
                {"@type": "Article", "articleBody": 'A <b>mill</b> \\ "here"'},
                {"@type": "Comment", "text": "Yes\n"},
            ]
        }
    )
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 5))
    changed = good[:at] + data.draw(st.text(max_size=5)) + good[at + cut :]
    assert isinstance(read(changed.encode("utf-8", "replace").decode()), StructuredData)
