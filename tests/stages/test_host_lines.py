"""Lines of a host: what is counted, what is removed, and that memory is bounded and counts never too high."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import DOCUMENTS, RecipeError
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages import RemoveRepeatedLines, host_lines, line_index
from corpusmill.stages.host_lines import HostLines, host_of
from corpusmill.stages.line_index import HostAccount, LineIndex, LineTable
from corpusmill.stages.line_units import folded, units_of

FOOTER = "Copyright 2024 The Mill Company. All rights reserved."


def batch_of(documents: Sequence[tuple[str | None, str | None]]) -> pa.RecordBatch:
    rows = [
        {"id": str(n), "url": url, "source": "a", "html": None, "text": text, "metadata": None}
        for n, (url, text) in enumerate(documents)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENTS)


def judged(
    documents: Sequence[tuple[str | None, str | None]], **settings_: Any
) -> list[tuple[str | None, int | None, Any]]:
    out, verdicts = RemoveRepeatedLines(scope="host", **settings_).judge(batch_of(documents))
    rows = zip(out.to_pylist(), verdicts.to_pylist(), strict=True)
    return [(row["text"], row["signals.boilerplate_lines"], verdict) for row, verdict in rows]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://WWW.Example.ORG:8443/a?b=https://c.example", "example.org"),
        ("http://me:secret@example.org./", "example.org"),
        ("//news.example.org/a", "news.example.org"),
        ("http://[2001:db8::1]:8080/a", "[2001:db8::1]"),
        ("https://www.xn--mnchen-3ya.de/", "münchen.de"),
        ("www.example.org", "example.org"),
        ("ftp://example.org", "example.org"),
        ("https:/example.org/one/slash", "example.org"),
        ("http:\\\\example.org\\@mill.example", "example.org"),
        ("http://localhost:80/", "localhost"),
        ("https://www.com/", "www.com"),
        ("http://[2001:DB8:0:0::1]/", "[2001:db8::1]"),
        ("192.168.0.1:8080/a", "192.168.0.1"),
        ("example.org:8080", "example.org"),
        ("example.org?write=to@example.org", "example.org"),
        ("//me:secret@example.org/", "example.org"),
        ("xn--e1afmkfd.xn--p1ai/a", "пример.рф"),
        ("भारत.भारत/a", "भारत.भारत"),
        ("/only/a/path", None),
        ("urn:isbn:9780141439518", None),
        ("urn:uuid:0000-1", None),
        ("doi:10.1000/182", None),
        ("10.1000/182", None),
        ("file:///data/books/3.txt", None),
        ("file://server.example/3.txt", None),
        ("s3://bucket.example/3", None),
        ("C:\\data\\3.html", None),
        ("data/3.html", None),
        ("//data/3.html", None),
        ("page1.html", None),
        ("crawl.jsonl#17", None),
        ("crawl.v2/17", None),
        ("12345", None),
        ("commoncrawl:abc", None),
        ("about:blank", None),
        ("javascript:void(0)", None),
        ("data:text/html,hi", None),
        ("mailto:me@example.org", None),
        ("me@example.org", None),
        ("<script>alert(1)</script>", None),
        ("http://<script>alert(1)</script>.org/", None),
        ("exa mple.org", None),
        ("http://exa mple.org/", None),
        ("http://exa%20mple.org/", None),
        ("http://ex\u0000ample.org/", None),
        ("http://example..org/", None),
        ("http://https://example.org/", None),
        ("http://[no address]/", None),
        ("http://[2001:db8::a/", None),
        ("http://[fe80::1%25eth0]/", None),
        ("1.2.3.400/a", None),
        (f"http://{'a.' * 127}org/", None),
        ("http://", None),
        ("", None),
        (None, None),
    ],
)
def test_hosts(url: str | None, host: str | None) -> None:
    assert host_of(url) == host


@given(url=st.text(st.sampled_from("htps:/\\\\.@[]%20aA1é。 <?#"), max_size=30) | st.text(max_size=30))
def test_a_host_is_that_of_its_own_address(url: str) -> None:
    host = host_of(url)
    if host is not None:
        assert host_of(f"https://{host}/") in {host, host.removeprefix("www.")}
        assert not set(host) & set("/@<> ?#%\\")


def test_the_first_documents_keep_a_line_and_the_others_lose_it() -> None:
    pages = [
        (f"https://{'www.' * (n % 2)}mill.example/{n}", f"Page {n} has words of its own.\n\n{FOOTER}") for n in range(5)
    ]
    found = judged(pages, maximum_documents=3, maximum_share=None)
    assert [text for text, *_ in found[:3]] == [text for _, text in pages[:3]]
    assert [text for text, *_ in found[3:]] == ["Page 3 has words of its own.", "Page 4 has words of its own."]
    assert [lines for _, lines, _ in found] == [0, 0, 0, 1, 1]


def test_documents_are_counted_and_not_occurrences() -> None:
    found = judged([("a.example", "\n".join([FOOTER] * 9))] * 3, maximum_documents=2)
    assert [lines for _, lines, _ in found] == [0, 0, 9]
    assert found[2][2] == {"reason": "boilerplate", "value": 1.0, "limit": 0.5, "ref": None}


def test_nothing_is_known_of_documents_without_a_host() -> None:
    found = judged([(None, FOOTER), (None, FOOTER), ("", FOOTER), ("a.example", None)], maximum_documents=1)
    assert found == [(FOOTER, None, None)] * 3 + [(None, 0, None)]


def test_the_share_that_was_removed_decides() -> None:
    before = ("a.example", f"{FOOTER}\n")
    half = ("a.example", f"{FOOTER}\n{'x' * len(FOOTER)}\n")
    more = ("a.example", f"{FOOTER}\n{'y' * (len(FOOTER) - 1)}\n")
    verdicts = [verdict for *_, verdict in judged([before, half, more], maximum_documents=1)]
    assert verdicts[:2] == [None, None]  # as much as the limit is not more
    assert verdicts[2]["reason"] == "boilerplate"
    assert judged([before, more], maximum_documents=1, maximum_share=None)[1][2] is None


@pytest.mark.parametrize("share", [None, 1.0, 0.9])
@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_a_document_of_which_nothing_is_left_is_dropped_whatever_share_is_allowed(
    share: float | None, unit: Literal["line", "paragraph"]
) -> None:
    blank = f"{FOOTER}\n\n{' ' * 80}\n\n"  # more than half of its characters stay
    found = judged(
        [("a.example", f"{FOOTER}\n")] * 2 + [("a.example", blank)], maximum_documents=1, maximum_share=share, unit=unit
    )
    dropped = [verdict and (verdict["reason"], verdict["value"]) for *_, verdict in found]
    assert dropped == [None, ("boilerplate", 1.0), ("boilerplate", pytest.approx(len(FOOTER) / (len(FOOTER) + 80)))]
    one = judged(
        [("a.example", f"{FOOTER}\n"), ("a.example", f"{FOOTER}\n.\n")], maximum_documents=1, maximum_share=share
    )
    assert (one[1][0], one[1][2] is None) == (".\n", share != 0.9)


LINES = st.sampled_from(["ab", "AB ", " a  b", "abc", "ß", "SS", "x", "", " ", "\t", "\r", "\u3000", "é\u00a0f", "É f"])
PAGES = st.tuples(st.sampled_from(["a.example", "b.example", None]), st.lists(LINES, max_size=8).map("\n".join))


@settings(max_examples=300, deadline=None)
@given(pages=st.lists(PAGES, max_size=12), minimum=st.integers(1, 3), most=st.integers(1, 3))
def test_it_does_what_it_says(pages: list[tuple[str | None, str]], minimum: int, most: int) -> None:
    found = judged(pages, minimum_characters=minimum, maximum_documents=most, maximum_share=None)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for (host, text), (out, lines, _) in zip(pages, found, strict=True):
        keys = [" ".join(line.split()).casefold() for line in text.split("\n")]
        counted = {key for key in keys if len(key) >= minimum} if host else set()
        gone = {key for key in counted if seen[host or ""][key] >= most}
        seen[host or ""].update(counted)
        assert lines == (sum(key in gone for key in keys) if host else None)
        assert [key for key in map(folded, (out or "").split("\n")) if key] == [k for k in keys if k and k not in gone]
        if not gone:
            assert out == text


def test_folding_takes_a_short_cut_to_the_same() -> None:
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            text = f"{chr(code)}A{chr(code)}  b{chr(code)}"
            for line in (text, f"A{chr(code)}b", chr(code)):
                assert folded(line) == " ".join(line.split()).casefold()


def test_units_and_separators_are_the_text() -> None:
    text = "a\n \nb\r\n\r\n\nc\n"
    for paragraphs in (False, True):
        units, separators = units_of(text, paragraphs=paragraphs)
        assert "".join(u + s for u, s in zip(units, [*separators, ""], strict=True)) == text


def documents_of(seed: int, lines: int, documents: int) -> list[list[int]]:
    """Return documents of distinct, sorted lines: a few are common, most are seen once."""
    chance = random.Random(seed)
    numbers = np.random.default_rng(seed).integers(1, 1 << 64, lines, np.uint64).tolist()
    common = numbers[:20]
    return [sorted({*chance.sample(common, 3), *(chance.choice(numbers) for _ in range(10))}) for _ in range(documents)]


def counted(
    table: LineTable, documents: list[list[int]], enough: int = 6
) -> Iterator[tuple[list[int], list[bool], int]]:
    for lines in documents:
        common, forgotten = table.count(np.array(lines, np.uint64), np.array([len(lines)]), enough)
        yield lines, common.tolist(), forgotten


def test_counts_are_exact_while_all_lines_fit(tmp_path: Path) -> None:
    table, seen = LineTable(12 * 4 * 65_536), Counter[int]()  # four regions, which grow
    for lines, common, forgotten in counted(table, documents_of(1, 30_000, 6_000), 2):
        assert common == [seen[line] >= 2 for line in lines]
        assert not forgotten
        seen.update(lines)
    assert (table.held, table.short_by) == (len(seen), 0)
    table.save(tmp_path)
    lines_, counts = (
        np.fromfile(tmp_path / name, type_) for name, type_ in (("lines", np.uint64), ("counts", np.uint16))
    )
    assert dict(zip(lines_.tolist(), counts.tolist(), strict=True)) == seen


@pytest.mark.parametrize("memory", [1_000, 12 * 1024, 30_000])
def test_a_full_table_never_counts_too_much_and_says_how_much_too_little(memory: int) -> None:
    table, seen, enough, lost = LineTable(memory), Counter[int](), 6, 0
    assert sum(array.nbytes for array in table._table[:3]) <= memory
    found = 0
    for lines, common, forgotten in counted(table, documents_of(2, 20_000, 4_000), enough):
        for line, is_common in zip(lines, common, strict=True):
            assert not is_common or seen[line] >= enough
            assert is_common or seen[line] < enough + table.short_by
            found += is_common
        seen.update(lines)
        lost += forgotten
        assert table.held <= memory // 15
    assert lost > 1000
    if memory > 10_000:  # hundreds of lines: what every seventh document says is known through all of that
        assert found > 4_000 * 3 * 0.9


def test_one_line_in_every_document_is_known_whatever_else_comes() -> None:
    table = LineTable(1_000)
    documents = [[7, *range(1000 + n * 9, 1009 + n * 9)] for n in range(100)]
    common = [flags[0] for _, flags, _ in counted(table, documents)]
    assert common == [False] * 6 + [True] * 94


def test_a_table_that_was_saved_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    documents = documents_of(3, 5_000, 2_000)
    whole = LineTable(12 * 512)
    expected = list(counted(whole, documents))
    first = LineTable(12 * 512)
    before = list(counted(first, documents[:1100]))
    first.save(tmp_path)
    second = LineTable.load(tmp_path, 12 * 512)
    with pytest.raises(ValueError, match="holds a table of another size"):
        LineTable.load(tmp_path, 12 * 4 * 65_536)
    assert before + list(counted(second, documents[1100:])) == expected
    assert second.short_by == whole.short_by


def pages(count: int) -> pa.RecordBatch:
    chance = random.Random(5)
    frames = [f"All pages of site number {site} have this line below them" for site in range(8)]
    documents: list[tuple[str | None, str | None]] = []
    for n in range(count):
        site = chance.randrange(9)
        own = f"This is the line that page number {n} alone has, and nobody else"
        documents.append((f"https://s{site}.example/{n}" if site < 8 else None, f"{own}\n{frames[site % 8]}\nshort"))
    return batch_of(documents)


@pytest.mark.parametrize("memory", ["1KB", "1MB"])
def test_an_index_that_was_saved_resolves_the_rest_in_the_same_way(tmp_path: Path, memory: str) -> None:
    stage = RemoveRepeatedLines(scope="host", max_index_memory=memory).ordered
    assert stage is not None
    sketches = pa.Table.from_batches([stage.sketch()(pages(300))])
    whole = stage.open_index()
    ((_, expected),) = whole.add(0, sketches)
    first = stage.open_index()
    assert isinstance(whole, LineIndex)
    assert isinstance(first, LineIndex)
    ((_, before),) = first.add(0, sketches.slice(0, 130))
    first.save(tmp_path, "")
    second = stage.load_index(tmp_path)
    assert isinstance(second, LineIndex)
    ((_, after),) = second.add(1, sketches.slice(130))
    assert before.to_pylist() + after.to_pylist() == expected.to_pylist()
    assert second.facts() == whole.facts()
    assert second.documents == 300
    assert (whole.facts()["lines_forgotten"] > 0) == (memory == "1KB")


def test_the_account_is_that_of_what_was_removed() -> None:
    stage = RemoveRepeatedLines(scope="host", maximum_share=None)
    batch = pages(300)
    assert stage.ordered is not None
    index = stage.ordered.open_index()
    index.add(0, pa.Table.from_batches([stage.ordered.sketch()(batch)]))
    assert isinstance(index, LineIndex)
    facts = index.facts()
    texts = zip(batch.column("text").to_pylist(), stage(batch).column("text").to_pylist(), strict=True)
    removed = sum(len(before) - len(after) - (before != after) for before, after in texts)  # a line break with each
    hosts = facts.pop("most_boilerplate")
    assert facts["boilerplate_characters"] == removed == sum(host["characters"] for host in hosts)
    assert facts["boilerplate_lines"] == facts["documents_with_boilerplate"] == sum(host["lines"] for host in hosts)
    assert facts["documents_without_host"] == batch.column("url").null_count
    assert facts["lines_compared"] == 2 * (300 - batch.column("url").null_count)
    assert facts["hosts_with_boilerplate"] == len(hosts) == 8
    assert [host["characters"] for host in hosts] == sorted((host["characters"] for host in hosts), reverse=True)


def test_the_account_of_hosts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "_HOSTS", 10)
    account = HostAccount()
    for n in range(1000):
        account.add(f"h{n % 60}", 1, 1000 if n % 60 < 5 else 1)
        assert len(account.hosts) <= 20
    assert not account.complete
    assert {host for host, _ in account.ranked()[:5]} == {f"h{n}" for n in range(5)}
    index = LineIndex(1, LineTable(1000))
    index._account = account
    assert index.facts()["hosts_with_boilerplate"] == "more than 10"


@pytest.mark.parametrize("memory", ["much", "0MB", "900B"])
def test_memory_that_holds_nothing_is_refused(memory: str) -> None:
    with pytest.raises(RecipeError, match=r"remove_repeated_lines.max_index_memory: .*(write a number|holds no lines)"):
        RemoveRepeatedLines(scope="host", max_index_memory=memory)


@pytest.mark.parametrize("memory", ["100KB", "3MB", "10MB"])
def test_as_many_lines_as_it_says_are_held_before_any_is_forgotten(memory: str) -> None:
    stage = RemoveRepeatedLines(scope="host", max_index_memory=memory).ordered
    assert isinstance(stage, HostLines)
    table, chance = LineTable(parse_size(memory)), np.random.default_rng(3)
    while not table.count(chance.integers(1, 1 << 64, 100, np.uint64), np.array([100]), 6)[1]:
        held = table.held
    number, unit = re.findall(r"about (\d+) (thousand|million) lines", stage.capacity())[0]
    said = int(number) * {"thousand": 1_000, "million": 1_000_000}[unit]
    assert 0.75 * said < held < 1.25 * said


@pytest.mark.parametrize(
    ("memory", "lines"), [("1KB", "66"), ("1MB", "66 thousand"), ("1GB", "66 million"), ("1TB", "66 billion")]
)
def test_what_the_index_holds_is_said_in_words(memory: str, lines: str) -> None:
    stage = RemoveRepeatedLines(scope="host", max_index_memory=memory).ordered
    assert isinstance(stage, HostLines)
    assert stage.capacity() == f"holds about {lines} lines of hosts in {memory} of memory, then forgets the rarest"


def test_more_memory_than_there_is_is_refused_by_the_name_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = RemoveRepeatedLines(scope="host", max_index_memory="2GB")
    assert stage.ordered is not None
    monkeypatch.setattr(host_lines, "usable_memory", lambda: 2_000_000_000)
    stage.ordered.check()
    monkeypatch.setattr(host_lines, "usable_memory", lambda: 1_999_999_999)
    for refused in (stage.ordered.check, stage.ordered.open_index, lambda: stage(batch_of([("a.example", FOOTER)]))):
        with pytest.raises(
            RecipeError, match=r"remove_repeated_lines.max_index_memory: '2GB' is more than the 1,999 MB"
        ):
            refused()


@pytest.mark.parametrize("scope", ["host", "anywhere"])
def test_a_table_without_text_is_refused_with_its_columns(scope: Literal["host", "anywhere"]) -> None:
    batch = batch_of([("a.example", FOOTER)]).drop_columns(["text"])
    with pytest.raises(
        RecipeError, match=r"^remove_repeated_lines: the table has no column 'text' \(it has: id, url, "
    ):
        RemoveRepeatedLines(scope=scope)(batch)


def test_each_scope_has_its_own_signals() -> None:
    within, host = RemoveRepeatedLines(), RemoveRepeatedLines(scope="host")
    assert within.added_columns().names == ["signals.repeated_lines", "signals.repeated_line_share"]
    assert host.added_columns().names == ["signals.boilerplate_lines", "signals.boilerplate_line_share"]
    both = host(within(batch_of([("a.example", f"{FOOTER}\nA line of its own.\n{FOOTER}")])))
    assert both.column("signals.repeated_lines").to_pylist() == [1]
    assert both.column("signals.boilerplate_lines").to_pylist() == [0]
