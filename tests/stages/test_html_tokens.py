"""The HTML tokenizer: blocks by rule, what never ends, text and Markdown, and that no broken page breaks it."""

from __future__ import annotations

import random
from html.entities import html5

import numpy as np
import pytest

from corpusmill.stages.html_page import HtmlPage, block_texts, no_class_words, read_page, references
from corpusmill.stages.html_salvage import salvaged
from corpusmill.stages.kernels import html_layout as layout
from corpusmill.stages.kernels import html_markdown, html_render
from corpusmill.stages.kernels.html_blocks import MOST_BLOCKS
from corpusmill.stages.kernels.html_tags import HIDDEN, TAGS
from corpusmill.stages.main_content import content_model, kept_blocks, render_text


def read(page: str | bytes, **options: object) -> HtmlPage:
    return read_page(page if isinstance(page, bytes) else page.encode(), no_class_words(), **options)  # type: ignore[arg-type]


def blocks(page: str | bytes, **options: object) -> list[str]:
    return block_texts(read(page, **options))


def render(page: str | bytes, **options: object) -> str:
    found = read(page)
    return render_text(found, np.ones(len(found.blocks), np.bool_), **options)  # type: ignore[arg-type]


BLOCKS = {
    "signs by which headings link to themselves": (
        '<h2>One<a href="#1">¶</a></h2><h3><a href="#2">#</a> Two</h3><h4>Three <A href=3>&para;</A></h4><p><a href="4">🔗</a>',
        ["One", "Two", "Three"],
    ),
    "signs that are part of a text": (
        '<p><a href="1">C#</a> <a href="2"># 5</a> <a href="3"><b>A</b>#</a> § <a>¶</a> <a href="4">#</b></a>',
        ["C# # 5 A# § ¶ #"],
    ),
    "inline elements join words": ("<p>ab<b>cd</b>ef <i>g</i><span>h</span></p>", ["abcdef gh"]),
    "blanks between inline elements part words": ("<p><b>a</b> <b>b</b>\n<b>c</b></p>", ["a b c"]),
    "white space collapses": ("<p> a \t\r\n\f b </p>", ["a b"]),
    "block elements part": ("a<div>b</div>c<section>d</section><x-y>e</x-y>f", ["a", "b", "c", "d", "e", "f"]),
    "an unknown element is inline": ("a<foo>b</foo>c", ["abc"]),
    "one line break is in the block": ("<p>a<br>b", ["a b"]),
    "two line breaks part": ("<p>a<br> <br/>b", ["a", "b"]),
    "</br> is a line break": ("<p>a</br>b", ["a b"]),
    "</p> alone parts": ("a</p>b", ["a", "b"]),
    "a rule parts": ("a<hr>b", ["a", "b"]),
    "a possible break parts nothing": ("<p>a<wbr>b<nobr>c", ["abc"]),
    "names in capitals": ("<P>a</P><DIV>b</DIV>", ["a", "b"]),
    "white space in tags": ("<p\n>a</p\t><p / >b</p >", ["a", "b"]),
    "table cells and rows": ("<table><tr><td>a<td>b<tr><th>c</table>d", ["a", "b", "c", "d"]),
    "list items without ends": ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", ["a", "b", "c", "d"]),
    "definitions": ("<dl><dt>a<dd>b<dt>c</dl>", ["a", "b", "c"]),
    # Attributes.
    "> in a quoted value": ("<p title='a>b' lang=\"c>d\">e", ["e"]),
    "quotes within quotes": ("<p a=\"'>\" b='\">'>c", ["c"]),
    "values without quotes": ("<p a=b/c d=e'f>g", ["g"]),
    "blanks around the equals sign": ("<p a = 'x>y'>b", ["b"]),
    "an equals sign begins a name": ("<p ='>b", ["b"]),
    "< in a tag": ("<p <b>a", ["a"]),
    # Comments.
    "comment": ("a<!-- <p>b</p> -->c", ["ac"]),
    "empty comments": ("a<!---->b<!-->c<!--->d", ["abcd"]),
    "comment ended by --!>": ("a<!--b--!>c", ["ac"]),
    "-- and -> within a comment": ("a<!-- b -- c -> d -- > e --->f", ["af"]),
    "<!- is no comment": ("a<!- b>c", ["ac"]),
    "declarations": ("<!doctype html>a<?xml version='1.0'?>b<!x>c</ d>e</>f", ["abcef"]),
    "CDATA ends at > in HTML": ("a<![CDATA[b>c]]>d", ["ac]]>d"]),
    # Raw elements.
    "script": ("a<script>'</p>' <p>b</p></script>c", ["ac"]),
    "script with blanks in its end": ("a<script >b</scriptx></script\n x>c", ["ac"]),
    "script within a comment within a script": ("<script><!-- <script>a</script> b --></script>c", ["c"]),
    "a script's comment does not need an end": ("<script><!-- a</script>b", ["b"]),
    "style": ("<style>p > b {}</style>a", ["a"]),
    "RCDATA": ("a<textarea><p>b</textarea>c<title>d</title>e", ["ace"]),
    "iframe, noembed, noframes": ("a<iframe><p>b</iframe>c<noembed>d</noembed>e<noframes>f</noframes>g", ["ace", "g"]),
    "xmp is shown as it is": ("a<xmp><b>&lt;</xmp>b", ["a", "<b>&lt;", "b"]),
    "plaintext never ends": ("a<plaintext><b>c</plaintext>&amp;", ["a", "<b>c</plaintext>&amp;"]),
    # Skipped elements.
    "svg with a title and a style": ("a<svg><title>b<text>c</text><style>d</style></svg>e", ["ae"]),
    "svg that closes itself": ("a<svg/>b", ["ab"]),
    "nested skipped elements": ("a<svg><svg>b</svg>c</svg>d", ["ad"]),
    "an end tag in a comment ends nothing": ("a<svg><!-- </svg> -->b</svg>c", ["ac"]),
    "select, object, video": ("a<select><option>b</select>c<object>d</object>e<video>f</video>g", ["aceg"]),
    "noscript and template": ("a b c d<noscript>e</noscript><template><p>f</template>", ["a b c d"]),
    # What is text.
    "< without a name": ("a < b <3 <> <<c", ["a < b <3 <> <"]),
    "controls are nothing": ("<p>a\0b\x0b\x85c\x1d", ["abc"]),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name: str) -> None:
    page, expected = BLOCKS[name]
    assert blocks(page) == expected


NEVER_ENDING = {
    "comment": ("<p>a<!-- b<p>c<p>d", ["a", "c", "d"]),
    "comment with a script": ("<p>a<!-- b<script>c</script><p>d", ["a", "d"]),
    "two comments": ("<p>a<!-- b --><!-- c <p>d<!-- e <p>f", ["a", "d", "f"]),
    "quote": ("<p>a <a href='b>c</a><p>d", ["a c", "d"]),
    "quote behind other tags": ('<p title="a">b<a href="c>d</a><p title=e>f', ["bd", "f"]),
    "quote that ends where no tag does": ("<p>a<a title='b>c</a> d's", ["ac d's"]),
    "textarea": ("<p>a<textarea>b<p>c", ["ab", "c"]),
    "title": ("<title>a<p>b", ["a", "b"]),
    "svg": ("a<svg>b<p>c", ["ab", "c"]),
    "svg, with ended things before": (
        "<svg><!-- x --><script>y</script><textarea>z</textarea>a<p>b<textarea>c<!-- ",
        ["a", "bc"],
    ),
    "select within svg": ("<svg>a<select>b<p>c", ["ab", "c"]),
    "tag at the end": ("<p>a<p class=", ["a"]),
    "end tag at the end": ("<p>a</p", ["a"]),
    "tag name at the end": ("<p>a<", ["a<"]),
    "script": ("<p>a<script>b<p>c", ["a"]),
}


@pytest.mark.parametrize("name", NEVER_ENDING)
def test_what_never_ends_swallows_little(name: str) -> None:
    page, expected = NEVER_ENDING[name]
    assert blocks(page) == expected


@pytest.mark.parametrize("opening", ["<y ", "</y ", "<!y ", "<? ", "<!--"])
def test_much_text_behind_a_stray_tag_is_kept(opening: str) -> None:
    words = " ".join(f"w{number}" for number in range(500))
    assert " ".join(blocks(f"<p>a {opening}{words}")).endswith(words)


@pytest.mark.parametrize(
    "token",
    ["<y ", "</y ", "<!y", "<!--", "<svg>", "<textarea>", "<a href='", "<p>x", "<br>", "&", "-", "<script><!--"],
)
def test_hostile_repetition_ends(token: str) -> None:
    # Each of these took, or would take, hours if it were quadratic.
    assert len(read(token * (3_000_000 // len(token))).blocks) <= MOST_BLOCKS


def test_blocks_are_bounded_and_no_text_is_lost() -> None:
    page = read("".join(f"<p>{number}" for number in range(100_000)))
    assert len(page.blocks) == MOST_BLOCKS
    text = render_text(page, np.ones(MOST_BLOCKS, np.bool_))
    assert text.split() == [str(number) for number in range(100_000)]
    assert text.endswith("99998\n99999")


def test_links_and_line_breaks_in_the_last_block_of_too_many() -> None:
    page = read("<p>x" * (MOST_BLOCKS - 1) + "<div>" + "<a href=y>a<br> <br>b<p>c</p></a>d<br>" * 5000)
    assert len(page.blocks) == MOST_BLOCKS
    text = render_text(page, np.ones(MOST_BLOCKS, np.bool_), layout="markdown", links="markdown")
    last = text.rpartition("x\n\n")[2]
    assert last.startswith("[a](y)\n[b](y)\n")
    assert last.count("(y)") == last.count("[")
    assert last.count("d") == 5000
    dropped = render_text(page, np.ones(MOST_BLOCKS, np.bool_), links="drop")
    assert dropped.rpartition("x\n\n")[2].split() == ["d"] * 5000


def test_depth_is_no_limit() -> None:
    assert blocks("<div>" * 400_000 + "a" + "</div>" * 400_000 + "b") == ["a", "b"]


@pytest.mark.parametrize(
    ("page", "hidden"),
    [
        ("<div hidden><p>a", True),
        ("<div style='color:red;DISPLAY : none'>a", True),
        ("<div style=visibility:hidden>a", True),
        ("<div aria-hidden=true>a", True),
        ("<div aria-hidden=false>a", False),
        ("<div style='display:block'>a", False),
        ("<div style='display:nonesuch'>a", False),
        ("<div class=hidden>a", False),
        ("<div hidden>b</div><div>a", False),
    ],
)
def test_hidden_elements_are_marked(page: str, hidden: bool) -> None:
    read_it = read(page)
    last = read_it.containers[read_it.blocks[-1, layout.B_CONTAINER]]
    assert bool(last[layout.C_BITS] & HIDDEN) is hidden


def test_what_stands_in_for_scripts_is_shown_on_demand() -> None:
    page = "<p>a b c d e f</p><noscript><p>g</noscript><template><p>h</template>"
    assert blocks(page, show=("noscript", "template")) == ["a b c d e f", "g", "h"]


def test_noscript_with_most_of_the_text_is_read() -> None:
    assert blocks("<p>a</p><noscript><p>long text of a forum</noscript>") == ["a", "long text of a forum"]


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ("<ul><li>a<li>b", ["ul", "li"]),
        ("<div><p>a<div>b", ["div", "div"]),
        ("<table><tr><td>a<td>b", ["table", "tr", "td"]),
        ("<table><tbody><tr><td><p>a<tr><td>b", ["table", "tbody", "tr", "td"]),
        ("<h2>a</h3><p>b", ["p"]),
        ("<div><table><td>a</div>b", ["div", "table", "td"]),
        ("<dl><dt>a<dd>b", ["dl", "dd"]),
        ("<div><span>a</div>b</span><p>c", ["p"]),
        ("<p>a<button><p>b", ["p", "button", "p"]),
    ],
)
def test_containers_of_the_last_block(page: str, path: list[str]) -> None:
    found = read(page)
    names = {number: name for name, number in TAGS.items()}
    container, tags = found.blocks[-1, layout.B_CONTAINER], []
    while container > 0:
        tags.append(names[found.containers[container, layout.C_TAG]])
        container = found.containers[container, layout.C_PARENT]
    assert tags[::-1] == path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&amp;&lt;&gt;&quot;", '&<>"'),
        ("&copy2020 &reg; &Aacuteb", "©2020 ® Áb"),
        ("&notit; &notin; &no; &nosuch;", "¬it; ∉ &no; &nosuch;"),
        ("&nGt;&bne;&fjlig;", "≫⃒=⃥fj"),
        ("&CounterClockwiseContourIntegral;", "∳"),
        ("&#65;&#x42;&#X43;&#68", "ABCD"),
        ("&#x80;&#150;&#x9f;", "€–Ÿ"),
        ("&#0;&#xD800;&#x110000;&#99999999999;", "\ufffd" * 4),
        ("&#;&#x;&#xg;& &", "&#;&#x;&#xg;& &"),
        ("&amp;lt;", "&lt;"),
        ("a&nbsp;&#160;&emsp;b", "a b"),
        ("a&shy;b&ZeroWidthSpace;c&#1;d", "abcd"),
        ("&#x1F600;", "\U0001f600"),
        ("a\u00a0\u3000b\u00adc\ufeffd\u200be", "a bcde"),
    ],
)
def test_characters(text: str, expected: str) -> None:
    assert render(f"<p>{text}</p>") == expected


def test_every_reference_of_the_standard() -> None:
    blank = set("\u00ad\u200b\t\n\u00a0\u2002\u2003\u2004\u2005\u2007\u2008\u2009\u200a\u205f")
    names = [name for name, value in html5.items() if not blank & set(value)]
    assert len(names) > 2100
    lines = render("".join(f"<div>x&{name}</div>" for name in names)).split("\n")
    assert lines == [f"x{html5[name]}" for name in names]


def test_broken_utf8_is_replaced() -> None:
    assert render(b"<p>a\xffb\xe2\x82c\xf0\x9f\x98<b>d\xc3") == "a\ufffdb\ufffdc\ufffdd\ufffd"


TEXT = {
    "paragraphs": ("<p>a</p><p>b</p>", "a\n\nb"),
    "divisions": ("<div>a</div><div>b</div>", "a\nb"),
    "line breaks": ("<p>a<br>b<br><br>c", "a\nb\n\nc"),
    "cells and rows": ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td"),
    "cells without text": (
        "<table><tr><td><th>a<th>b<tr><td>c<td> <td>d<tr><td>e<td>&nbsp;<td></td><td><p>f<p>g<tr><td><td>h<td></table>",
        "\ta\tb\nc\t\td\ne\t\t\tf\n\ng\n\th",
    ),
    "a table in a row with cells without text": (
        "<table><tr><td>a<td><td><table><tr><td>b<td><td>c</table><td><td>d</table>",
        "a\t\tb\t\tc\t\td",
    ),
    "margins of a layout": (f"<table><tr><td><td><p>{'word ' * 60}<p>b<td></table>", f"{'word ' * 59}word\n\nb"),
    "items": ("<ul><li>a<li>b</ul>", "a\nb"),
    "preformatted": ("<pre>\n  a\r\n\tb\n\nc</pre>", "  a\n\tb\n\nc"),
    "blanks and references in preformatted": ("<pre>a&nbsp;&nbsp;b&#10;c&#xA;d\re</pre>", "a  b\nc\nd\ne"),
    "inline elements in preformatted": ("<pre><b>a</b>  <i>b</i>\n<i>c</i></pre>", "a  b\nc"),
    "xmp": ("<xmp>a  <b>\n &lt;</xmp>", "a  <b>\n &lt;"),
    "links": ("<p>a <a href=b>c</a> d", "a c d"),
}


@pytest.mark.parametrize("name", TEXT)
def test_text(name: str) -> None:
    page, expected = TEXT[name]
    assert render(page) == expected


MARKDOWN = {
    "headings": ("<h1>a</h1><h3>b</h3><p>c", "# a\n\n### b\n\nc"),
    "items": ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c"),
    "item of two paragraphs": ("<ul><li><p>a<p>b<li>c</ul>", "- a\n\n  b\n\n- c"),
    "item that goes on behind a list": ("<ul><li>a<ul><li>b</ul>c<li>d</ul>", "- a\n  - b\n\n  c\n- d"),
    "item of a heading and more": ("<ul><li>a<h3>b</h3>c</ul>", "- a\n\n  ### b\n\n  c"),
    "item in boxes": ("<ul><li><div><div><p>a</div></div><li>b</ul>", "- a\n\n- b"),
    "quotation of a list": ("<blockquote><ul><li><p>a<p>b</ul></blockquote>c", "> - a\n>\n>   b\n\nc"),
    "paragraphs of nested items": (
        "<ul><li><p>a<ul><li><p>b<br>c<p>d</ul><p>e<li>f</ul>g",
        "- a\n\n  - b\n    c\n\n    d\n\n  e\n\n- f\n\ng",
    ),
    "items that begin with an item": ("<ul><li><ul><li>a<li>b</ul><li>c</ul>", "- - a\n  - b\n\n- c"),
    "item without a list": ("<div><li>a</div><div>b</div>", "- a\n\nb"),
    "items too deep to be told apart": (
        "<ul><li>a" * 11 + "<p>b",
        "".join(f"{'  ' * min(depth, 8)}- a\n" for depth in range(11)) + f"\n{'  ' * 9}b",
    ),
    "preformatted text and a table in an item": (
        "<ul><li><pre>a\n\n b</pre><table><tr><td>c<td>d<tr><td>e<td>f</table><li>g</ul>",
        "- ```\n  a\n\n   b\n  ```\n\n  | c | d |\n  |---|---|\n  | e | f |\n\n- g",
    ),
    "items in preformatted text and in a cell": (
        "<pre><ul><li>a<li>b</ul></pre><table><tr><td><ul><li>c<li>d</ul></table>",
        "```\na\nb\n```\n\n| c d |\n|---|",
    ),
    "quotation of paragraphs and preformatted text": (
        "<blockquote><p>a<br>b<p>c<pre>d\n\ne</pre></blockquote><blockquote>f</blockquote>",
        "> a\n> b\n>\n> c\n>\n> ```\n> d\n>\n> e\n> ```\n\n> f",
    ),
    "quotation in an item": ("<ul><li><blockquote>a<p>b</blockquote>c</ul>", "- > a\n  >\n  > b\n\n  c"),
    "quotation": ("<blockquote>a</blockquote>", "> a"),
    "code": ("<p>a <code>b</code> c", "a `b` c"),
    "code with blanks at its edges": ("<p>a<code> b </code>c", "a `b` c"),
    "code without an end": ("<p>a <code>b<p>c</code>d", "a `b`\n\ncd"),
    "empty code": ("<p>a<code></code>b", "ab"),
    "ticks in code": ("<p>a <code>b`c</code>, <code>b``c`d</code>", "a ``b`c``, ```b``c`d```"),
    "ticks at the edges of code": (
        "<p><code>`a</code>, <code>a&#96;&#96;</code>, <code>`</code>",
        "`` `a ``, ``` a`` ```, `` ` ``",
    ),
    "ticks in code without an end": ("<p>a <code>`b<p>c", "a `` `b ``\n\nc"),
    "code in code": ("<p><code>a<kbd>b</kbd>c</code>d</code>e", "`abc`de"),
    "ticks in preformatted text": (
        "<pre>a\n```\nb</pre><pre>````</pre><pre>a `` b</pre>c",
        "````\na\n```\nb\n````\n\n`````\n````\n`````\n\n```\na `` b\n```\n\nc",
    ),
    "ticks in preformatted text of several blocks": (
        "<pre><div>a</div><div>~ ``` ~</div><div>b</div></pre>",
        "````\na\n~ ``` ~\nb\n````",
    ),
    "preformatted": ("<pre><code>a\n  b</code></pre><p>c", "```\na\n  b\n```\n\nc"),
    "table": ("<table><tr><th>a<th>b<tr><td>c<td>d</table>e", "| a | b |\n|---|---|\n| c | d |\n\ne"),
    "bars, lines and spaces in cells": ("<table><tr><td>a|b<br>c<td><pre>d\n  e</pre>", "| a\\|b c | d e |\n|---|---|"),
    "paragraphs of a cell": ("<table><tr><td><p>a<p>b<td>c</table>", "| a b | c |\n|---|---|"),
    "link": ("<p>a <a href=b>c</a> d", "a [c](b) d"),
    "target with references": (
        "<a href='?a=1&amp;b=2&copy=3&section=4&lt;&#38;'>x</a>",
        "[x](?a=1&b=2&copy=3&section=4%3C&)",
    ),
    "target with blanks and brackets": ("<a href=' \t/a_(b)\n c d \n'>x</a>", "[x](/a_%28b%29%20c%20d)"),
    "heading of two lines": ("<h2>a<br>b | c</h2>d", "## a b | c\n\nd"),
    "code of a block for each line": (
        "<pre><div>if a:</div><div>    b()</div></pre><pre>c</pre>d",
        "```\nif a:\n    b()\n```\n\n```\nc\n```\n\nd",
    ),
    "cells without text": (
        "<table><tr><th><th>a<th>b<tr><td>c<td><td>d<tr><td>e<td><p>f<p>g</table>",
        "| | a | b |\n|---|---|---|\n| c |  | d |\n| e | f g |",
    ),
    "first of two targets": ("<a href=a href=b>x</a>", "[x](a)"),
    "link without a target": ("<p><a name=x>a</a>", "a"),
    "empty link": ("<p>a<a href=b></a>c", "ac"),
    "link over blocks": ("<a href=x><div>a</div><div>b</div></a>c", "[a](x)\n[b](x)\nc"),
    "link that a link ends": ("<a href=x>a <a href=y>b</a>c", "[a](x) [b](y)c"),
    "link that its container ends": ("<div><a href=x>a</div>b</a>c", "[a](x)\nbc"),
}


@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown(name: str) -> None:
    page, expected = MARKDOWN[name]
    assert render(page, layout="markdown", links="markdown") == expected


@pytest.mark.parametrize(
    "unit", ["<pre>`", "<code>`", "<li><pre>`\n", "<ul><li>`<br>", "<blockquote><pre>a\n", "<pre>```\n"]
)
def test_marks_take_linear_time(unit: str) -> None:
    # Text is moved to make room for marks: once, or these would take hours.
    page = read(unit * (1_000_000 // len(unit)))
    assert render_text(page, np.ones(len(page.blocks), np.bool_), layout="markdown")


def test_rows_of_many_cells_without_text() -> None:
    page = read("<table>" + ("<tr>" + "<td>" * 200 + "x" + "<td>" * 200 + "y") * 500)
    rows = render_text(page, np.ones(len(page.blocks), np.bool_), layout="markdown").split("\n")
    assert len(rows) == 501
    assert {row.count("x") + row.count("y") for row in rows} == {0, 2}
    plain = render_text(page, np.ones(len(page.blocks), np.bool_)).split("\n")
    assert [row.strip("\t").replace("\t", "") for row in plain] == ["xy"] * 500


def test_cells_that_are_not_kept_are_columns_between_cells_but_not_before_them() -> None:
    page = read("<table><tr><td>a<td>b<td>c<td>d</table>")
    assert render_text(page, np.array([True, False, True, True])) == "a\t\tc\td"
    assert render_text(page, np.array([False, False, True, True])) == "c\td"


def test_the_text_has_room() -> None:
    chance = random.Random(20261121)
    tokens = [
        "<a href=(((",
        " <a href='<>( ( |'>",
        "</a>",
        "<br>",
        "<code>",
        "</code>",
        "<pre>",
        "x",
        "&nGt;",
        "é",
        "|",
        "<p>",
    ]
    tokens += [
        "<td>",
        "<tr>",
        "<table>",
        "<li><ul>",
        "<h6>",
        "</h6>",
        "<blockquote>",
        "\n",
        "&#10;",
        "`",
        "ÿ",
        "<",
        "<!",
        "</table>",
        ">",
        " ",
    ]
    for _ in range(1500):
        few = chance.sample(tokens, chance.randint(2, 8))
        page = read("".join(chance.choices(few, k=40)).encode().replace("ÿ".encode(), b"\xff"))
        keep = np.array([chance.random() < 0.8 for _ in page.blocks], np.bool_)
        room = html_render.room_for(page.blocks, page.containers, page.pieces, keep)
        tables = page.data, page.blocks, page.containers, page.pieces, keep, references()
        # In a larger one, for what is written behind the end of an array is not noticed.
        out = np.empty(4 * room + 4096, np.uint8)
        assert html_markdown.render_markdown(*tables, html_render.LINKS_MARKED, out) <= room
        assert html_render.render(*tables, html_render.LINKS_MARKED, True, out) <= room


def test_links_dropped() -> None:
    assert render("<p>a <a href=x>b</a> c<p><a href=y>d</a></p><a href=z><p>e</a>", links="drop") == "a c"
    assert render("<p>a <a>b</a>", links="drop") == "a b"
    assert render("<a href=x><h2>a</h2>b</a> c", links="drop") == "c"


def test_bullets() -> None:
    assert render("<ul><li>a<li>b<ol><li>c</ol></ul><p>d", bullets=True) == "- a\n- b\n  - c\n\nd"


def test_blocks_that_are_not_kept_leave_nothing() -> None:
    page = read("<h1>a</h1><ul><li>b<li>c</ul><table><tr><td>d</table>")
    assert render_text(page, np.array([False, False, True, False]), layout="markdown") == "- c"
    assert render_text(page, np.zeros(4, np.bool_), layout="markdown") == ""


@pytest.mark.parametrize(
    "page", ["", " ", "<", "</", "<!", "<!-", "<!--", "<p", "<p a", "<p a=", "<p a='", "&", "&#", "&#x", "<svg"]
)
def test_shortest_pages(page: str) -> None:
    assert len(read(page).blocks) <= 1
    assert salvaged(page) is not None


SNIPPETS = [
    "<h1 class='title main'>A &amp; B</h1><p>It <b>stands</b> by the <a href='?x=1&y=2'>river</a>, they say.",
    "<ul><li>one<li>two<ul><li>in</ul></ul><table><tr><td>a<td>b<tr><th>c</table><pre>\n x  y</pre>",
    "<script>a<b</script><style>p>b</style><!-- c --><svg><title>d</title></svg><noscript>e</noscript><textarea>f</textarea>",
    "&copy&#x1F600;&nGt;&#0;漢字。naïve\u00ad\u3000<code>x</code><a href=y><div>z</div></a><br><br>",
]
TOKENS = (
    b"<!-- --> < > </ \" ' = & &# <script> </script> <![CDATA[ <svg> </svg> \0 <plaintext> <title> "
    b"<pre> <p> </p> <a/href=x> <br> <td>"
).split()


def test_broken_pages() -> None:
    chance = random.Random(20261121)
    closing = """'>">--></script></style></title></textarea><script>hush</script><!-- hush --><i title="hush">"""
    for number in range(3000):
        page = bytearray("".join(chance.choices(SNIPPETS, k=2)).encode())
        for _ in range(chance.randint(1, 10)):
            at = chance.randrange(len(page) + 1)
            until = at + chance.randrange(20)
            page[at:until] = chance.choice([b"", b"\xe2", page[at:until] * 3, chance.choice(TOKENS)])
        shown = b"<plaintext" in page.lower()
        found = read(bytes(page) + closing.encode() + bytes(page[: number % 200]))
        keep = np.ones(len(found.blocks), np.bool_)
        text, marked = (render_text(found, keep, links="markdown", layout=kind) for kind in ("text", "markdown"))
        assert shown or "hush" not in text + marked
        begins, ends = found.pieces[:, layout.P_BEGIN], found.pieces[:, layout.P_END]
        assert ((begins >= 0) & (begins <= ends) & (ends <= len(found.data))).all()
        assert (found.blocks[:, layout.B_LINKED] <= found.blocks[:, layout.B_CHARACTERS]).all()
        if number % 50 == 0 and len(keep):
            assert kept_blocks(read_page(bytes(page), content_model().words), content_model()).any()
