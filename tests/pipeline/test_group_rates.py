"""What filters take from each language and source: counted by worker, added up over splits, bounded, shown and escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from corpusmill import group_rates as rates
from corpusmill.chain import NamedStage
from corpusmill.group_rates import GroupTally, KeptTally, group_rates
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import VERDICT
from corpusmill.schemas.manifest import GroupCounts, GroupRates
from corpusmill.stages import RedactPii
from support import prose

DROPPED = {"reason": "toxic_density", "value": 1.0, "limit": 0.0, "ref": None}


def batch(urls: Sequence[str | None], **columns: Sequence[object]) -> pa.RecordBatch:
    sources = pa.array(["file.jsonl"] * len(urls), pa.string())
    arrays = {"url": pa.array(urls, pa.string()), "source": sources}
    return pa.record_batch({**arrays, **{name: pa.array(values) for name, values in columns.items()}})


def test_hosts_are_sources_and_files_where_there_is_no_url() -> None:
    urls = ["https://www.Example.org/a?b", "http://u:p@example.org:80/c", "example.org/x", None, "HTTPS://a.b#c", ""]
    tally = GroupTally()
    tally.add(NamedStage("filter_toxicity", None), batch(urls), pa.array([DROPPED, *[None] * 5], VERDICT))
    assert tally.record() == {
        "source": {
            "file.jsonl": GroupCounts(toxicity_seen=3),
            "example.org": GroupCounts(toxicity_seen=2, toxicity_dropped=1),
            "a.b": GroupCounts(toxicity_seen=1),
        }
    }


def test_documents_and_tokens_of_a_shard_are_those_of_its_groups() -> None:
    random, tally = Random(1), KeptTally()
    expected: dict[str, dict[str, GroupCounts]] = {"source": {}, "language": {}}
    for size in (50, 0, 250):
        hosts = [f"h{min(int(random.expovariate(0.03)), 90)}" for _ in range(size)]
        languages = [random.choice(["de", "en", None]) for _ in range(size)]
        tokens = np.array([random.randrange(100) for _ in range(size)], np.int64)
        first = np.array([random.random() < 0.7 for _ in range(size)], bool)
        urls = [f"https://{host}/{number}" for number, host in enumerate(hosts)]
        rows = batch(urls, language=pa.array(languages, pa.string()))
        tally.add(pa.Table.from_batches([rows]), tokens, first)
        for host, language, n, once in zip(hosts, languages, tokens.tolist(), first.tolist(), strict=True):
            for by, name in (("source", host), ("language", language or "unknown")):
                counts = expected[by].setdefault(name, GroupCounts())
                counts.documents += once
                counts.tokens += n
                counts.unique_tokens += n * once
    found = tally.record()
    assert found["language"] == expected["language"]
    ranked = sorted(expected["source"], key=lambda host: (-expected["source"][host].documents, host))
    assert len(ranked) > 41
    assert [*found["source"]] == [*ranked[:40], ""]
    assert all(found["source"][host] == expected["source"][host] for host in ranked[:40])
    for field in ("documents", "unique_tokens", "tokens"):
        others = sum(getattr(expected["source"][host], field) for host in ranked[40:])
        assert getattr(found["source"][""], field) == others
    assert KeptTally().record() == {}


def test_redactions_are_those_of_the_kinds_that_are_replaced() -> None:
    columns: dict[str, list[object]] = {
        "signals.pii_email": [2, 0, None],
        "signals.pii_ip": [0, 7, 1],
        "language": ["de", "en", None],
    }
    tally = GroupTally()
    stage = NamedStage("redact_pii", RedactPii(kinds=("email",)))
    tally.add(stage, batch([None] * 3, **columns), pa.nulls(3, VERDICT))
    assert tally.record()["language"] == {
        "de": GroupCounts(pii_seen=1, pii_documents=1, redactions=2),
        "en": GroupCounts(pii_seen=1),
        "unknown": GroupCounts(pii_seen=1),
    }


def test_a_second_stage_of_a_kind_counts_no_document_twice() -> None:
    tally = GroupTally()
    for name in ("filter_toxicity", "filter_toxicity#2", "deduplicate"):
        tally.add(NamedStage(name, None), batch([None]), pa.nulls(1, VERDICT))
    assert tally.record() == {"source": {"file.jsonl": GroupCounts(toxicity_seen=1)}}


def test_the_largest_groups_are_named_and_the_others_are_one() -> None:
    tally = GroupTally()
    urls = [f"https://h{number}.org/" for number in range(500) for _ in range(1 + (number < 10))]
    tally.add(NamedStage("filter_toxicity", None), batch(urls), pa.nulls(len(urls), VERDICT))
    record = tally.record()["source"]
    assert len(record) == 41
    assert list(record)[:3] == ["h0.org", "h1.org", "h2.org"]
    assert record[""] == GroupCounts(toxicity_seen=460)
    rows = group_rates([{"source": record}, {"source": record}])["source"]
    assert [row.name for row in rows[:2]] == ["all", "h0.org"]
    assert (len(rows), rows[-1].name) == (32, "others")
    assert rows[0].toxicity_seen == 2 * 510 == sum(row.toxicity_seen for row in rows[1:])
    assert rows[1] == GroupRates(
        name="h0.org", toxicity_seen=4, toxicity_dropped=0, toxicity_drop_rate=0.0, pii_seen=0, pii_dropped=0,
        pii_drop_rate=None, pii_documents=0, pii_document_rate=None, redactions=0, redactions_per_document=None,
    )  # fmt: skip


def test_what_redact_pii_drops_is_counted_by_group() -> None:
    tally = GroupTally()
    dropped = {"reason": "too_much_pii", "value": 9.0, "limit": 1.0, "ref": None}
    columns: dict[str, list[object]] = {"signals.pii_email": [9, 1, 0], "language": ["de", "de", "en"]}
    tally.add(
        NamedStage("redact_pii", RedactPii()), batch([None] * 3, **columns), pa.array([dropped, None, None], VERDICT)
    )
    record = tally.record()
    assert record["language"]["de"] == GroupCounts(pii_seen=2, pii_dropped=1, pii_documents=2, redactions=10)
    shares = {row.name: (row.pii_dropped, row.pii_drop_rate) for row in group_rates([record])["language"]}
    assert shares == {"all": (1, 0.333333), "de": (1, 0.5), "en": (0, 0.0)}


def test_a_crawl_of_many_hosts_takes_a_table_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    largest: list[int] = []

    def records() -> Iterator[dict[str, dict[str, GroupCounts]]]:
        for split in range(400):
            hosts = {f"s{split}-{number}.org": GroupCounts(pii_seen=1 + number % 3) for number in range(40)}
            yield {"source": {**hosts, "large.org": GroupCounts(pii_seen=50), "": GroupCounts(pii_seen=7)}}

    add = rates._add

    def counted(table: dict[str, GroupCounts], name: str, counts: Mapping[str, int]) -> None:
        add(table, name, counts)
        largest.append(len(table))

    monkeypatch.setattr(rates, "_add", counted)
    monkeypatch.setattr(rates, "_SUMMED", 500, raising=False)
    rows = group_rates(records())["source"]
    assert max(largest) <= 2 * 500 + 42
    assert (rows[0].name, rows[0].pii_seen) == ("all", sum(row.pii_seen for row in rows[1:]))
    assert (rows[1].name, rows[1].pii_seen) == ("large.org", 400 * 50)
    assert group_rates(records())["source"] == rows


def test_a_record_of_many_hosts_is_short() -> None:
    tally = GroupTally()
    urls = [f"https://www.some-longer-name-{number}.example.org/" for number in range(5_000)]
    tally.add(NamedStage("filter_toxicity", None), batch(urls), pa.nulls(len(urls), VERDICT))
    assert len(msgspec.json.encode(tally.record())) < 4_000


@pytest.mark.parametrize("size", ["1KB", "1MB"])
def test_a_run_shows_them_side_by_side(tmp_path: Path, size: str) -> None:
    (tmp_path / "own.txt").write_text("wibble\n")
    rows = [
        {"id": str(n), "url": f"https://{'a<b>' if n % 2 else 'c'}.org/{n}", "text": prose(n, 90)} for n in range(8)
    ]
    for row in rows[1:4:2]:
        row["text"] += " wibble" * 20
    rows[5]["text"] += " Write to jane@example.org or jim@example.org."
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        f"""
        name = "own"
        [[stage]]
        kind = "filter_language"
        minimum_score = 0.0
        [[stage]]
        kind = "filter_toxicity"
        lexicons = ["{tmp_path / "own.txt"}"]
        use_default_lexicon = false
        [[stage]]
        kind = "redact_pii"
        """
    )
    out = tmp_path / "out"
    manifest = run(load_recipe(str(recipe), [f"input.split_size={size}"]), [tmp_path / "in.jsonl"], out)
    assert read_manifest(out) == manifest
    groups = read_manifest(out).groups
    assert list(groups) == ["language", "source"]
    seen = {
        row.name: (row.toxicity_seen, row.toxicity_drop_rate, row.pii_documents, row.redactions)
        for row in groups["source"]
    }
    assert seen == {"all": (8, 0.25, 1, 2), "a<b>.org": (4, 0.5, 1, 2), "c.org": (4, 0.0, 0, 0)}
    page = (out / "report.html").read_text()
    assert "What filters took, by source" in page
    assert "a&lt;b&gt;.org" in page
    assert "a<b>.org" not in page
