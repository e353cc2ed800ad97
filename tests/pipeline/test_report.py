"""What the summary and the report say, and that they are made in bounded memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpusmill.pipeline import Pipeline
from corpusmill.report import write_report
from corpusmill.schemas import REJECTS
from corpusmill.schemas.inputs import SkippedFile
from corpusmill.schemas.manifest import DocumentCounts, FileRecord, GroupRates, Manifest, MixtureShares, StageCounts
from corpusmill.side_tables import Sample, examples, quarantined, signals
from corpusmill.summary import skipped_lines, summary
from support import SMALL_STEPS, stop_after


def made_up(**changes: Any) -> Manifest:
    told: dict[str, Any] = {
        "documents": DocumentCounts(documents_in=100, kept=60, dropped=37, quarantined=3),
        "tokens": 0,
        "stages": [],
        "shards": [],
        "files": [],
        "inputs": {"files": 1, "bytes": 1, "formats": {}, "skipped": [], "skipped_records": {}},
        "languages": {},
        "recipe": {"name": "made up"},
        "fingerprint": "",
        "versions": {},
        "tokenizer": None,
        "runs": [],
    }
    return Manifest(**(told | changes))


def put(root: Path, name: str, table: pa.Table) -> FileRecord:
    (root / name).parent.mkdir(exist_ok=True)
    pq.write_table(table, root / name, row_group_size=100)
    return FileRecord(path=name, rows=table.num_rows, sha256="")


def test_the_stages_are_a_table_that_adds_up() -> None:
    stages = [
        StageCounts(kind="strip_html", documents_in=98, bytes_in=25_000_000, kept=88, dropped={"empty": 10}, seconds=2),
        StageCounts(kind="pii", documents_in=88, bytes_in=1, kept=60, dropped={"a": 20, "b": 7}, quarantined=1),
    ]
    runs = [
        {"seconds": 50.0, "bytes": 600_000_000, "peak_memory": 7, "resumed": False},
        {"seconds": 10.0, "bytes": 9_000_000_000, "peak_memory": 612_000_000, "resumed": True},
        {"seconds": None, "bytes": 5, "peak_memory": 0, "resumed": None},
    ]
    lines = summary(Path("out"), made_up(stages=stages, runs=runs)).splitlines()
    at = lines.index("stage       in  out  dropped  crashed  CPU s   MB/s")
    assert lines[at + 1 : at + 5] == [
        "strip_html  98   88       10        0   2.00  12.50",
        "pii         88   60       27        1   0.00      –",
        "all stages  98   60       37        1   2.00",
        "1m00s of wall time in 2 runs, without what was interrupted, 12 MB/s of stored bytes, at most 612 MB in a worker",
    ]
    without = summary(Path("out"), made_up(stages=stages[:1], runs=[{"seconds": 5.0}]))  # written by an older version
    assert "crashed" not in without
    assert "5s of wall time\n" in without


def test_the_report_says_what_the_tokens_train(tmp_path: Path) -> None:
    write_report(tmp_path, made_up(tokens=4_000_000_000))
    page = (tmp_path / "report.html").read_text("utf-8")
    for times, seen, parameters in ((1, "4,000,000,000", "200 million"), (4, "16,000,000,000", "800 million")):
        assert f"<td>{times}</td><td class=number>{seen}</td><td class=number>{parameters}</td>" in page
    write_report(tmp_path, made_up())
    assert "several times already" not in page
    assert "What these tokens train" not in (tmp_path / "report.html").read_text("utf-8")


def test_tokens_are_told_by_group_and_source_of_the_mixture_and_names_are_escaped(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "toxicity_seen": 0,
        "toxicity_drop_rate": None,
        "toxicity_dropped": 0,
        "pii_seen": 0,
        "pii_documents": 0,
    }
    told |= {"pii_document_rate": None, "redactions": 0, "redactions_per_document": None}
    groups = [
        GroupRates(name=name, documents=n, unique_tokens=n * 10, tokens=n * 20, **told)
        for name, n in (("all", 5), ("<b>", 3))
    ]
    shares = MixtureShares(
        name="<i>",
        weight=0.25,
        available_tokens=90,
        asked_tokens=120,
        tokens=100,
        repeated_tokens=50,
        documents=5,
        left_out=1,
    )
    manifest = made_up(
        tokens=100,
        unique_tokens=50,
        groups={"source": groups},
        mixture=[shares],
        tokenizer={"engine": None},
        packing={"rows": 7, "sequence_length": 16, "padding": 12, "cropped": 0},
    )
    write_report(tmp_path, manifest)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "100 tokens, 50 of them unique" in page
    assert "in which documents of the mixture are several times already" in page
    assert "used up first" in page  # there are weights
    assert "7  of 16 tokens; padded 10.714%, cropped 0 tokens" in page
    number = "<td class=number>"
    assert f"<tr><td>&lt;b&gt;</td>{number}3</td>{number}30</td>{number}60</td>{number}60.00%</td>" in page
    cells = ("90", "120", "100", "25.00%", "100.00%", "2.00", "5", "1")
    assert f"<tr><td>&lt;i&gt;</td>{''.join(f'{number}{cell}</td>' for cell in cells)}</tr>" in page
    assert "What filters took" not in page  # no filter saw anything
    lines = summary(tmp_path, manifest).splitlines()
    assert any(line.split() == ["unique", "50", "read", "2.00", "times"] for line in lines)
    assert any(line.split() == ["<i>", *cells] for line in lines)


def test_the_summary_stays_a_screenful() -> None:
    dropped = {f"reason{n}": 1000 - n for n in range(40)}
    stages = [StageCounts(kind=f"stage{n}", documents_in=9, kept=9) for n in range(12)]
    stages.append(StageCounts(kind="rules", documents_in=99_999, dropped=dropped))
    skipped = [SkippedFile(name=f"{n}.bin", size=1, why=f"why {n}") for n in range(30)]
    inputs = {
        "skipped": [{"name": f.name, "size": 1, "why": f.why} for f in skipped],
        "skipped_records": {"request": 2},
    }
    lines = summary(Path("out"), made_up(stages=stages, inputs=inputs, languages={"en": 1})).splitlines()
    assert len(lines) <= 50
    assert len(skipped_lines(skipped)) == 30
    (rest,) = [line for line in lines if "… 26 more reasons" in line]
    assert int(rest.split()[-1].replace(",", "")) == sum(sorted(dropped.values())[:26])
    assert any("… 25 more reasons" in line for line in lines)


def test_a_resumed_batch_is_known_as_one(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline.from_toml("minimal", SMALL_STEPS)
    with monkeypatch.context() as patch:
        stop_after(patch, 12)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(corpus, tmp_path / "out")
    (tmp_path / "more.txt").write_text("Some more words that come later.")
    pipeline.run(corpus, tmp_path / "out")
    (run,) = pipeline.run([corpus], tmp_path / "out").runs
    assert run["resumed"] is True
    assert run["bytes"] == sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file())
    assert run["peak_memory"] > 1e6
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "wall time, without what was interrupted" in page


@pytest.mark.parametrize("limit", [7, 1000, 1001, 10_000])
def test_a_sample_depends_on_the_order_of_the_values_alone(limit: int) -> None:
    values = np.arange(1001.0)
    samples = []
    for seed in range(4):
        sample, at, cuts = Sample(limit), 0, random.Random(seed)
        while at < len(values):
            step = cuts.choice([0, 1, 5, 400, 2000])
            sample.add(values[at : at + step])
            at += step
        samples.append(sample)
    first = samples[0]
    assert all((s.step, s.count) == (first.step, 1001) for s in samples)
    assert all(np.array_equal(s.values, values[:: first.step]) for s in samples)
    assert len(first.values) <= limit
    assert first.step == 1 or len(values[:: first.step // 2]) > limit


def test_quantiles_of_signals_are_exact_or_say_that_they_are_not(tmp_path: Path) -> None:
    numbers = [random.Random(1).gauss(50, 10) for _ in range(500)]
    files = [
        put(
            tmp_path,
            f"signals/split-{at}.parquet",
            pa.table(
                {
                    "id": pa.array([str(n) for n in range(250)]),
                    "signals.words": pa.array(numbers[at * 250 :][:250]),
                    "signals.rare": pa.array([None] * 249 + [7], pa.int32()),
                    "signals.never": pa.nulls(250, pa.float64()),
                    "signals.nan": pa.array([float("nan")] * 249 + [1.0]),
                    "signals.name": pa.array(["x"] * 250),
                    **({"signals.later": pa.array([True] * 250).cast(pa.int8())} if at else {}),
                }
            ),
        )
        for at in range(2)
    ]
    manifest = made_up(files=files)
    exact = {signal.name: signal for signal in signals(tmp_path, manifest)}
    assert list(exact) == ["words", "rare", "nan", "later"]
    assert (exact["words"].count, exact["words"].step) == (500, 1)
    assert exact["words"].quantiles == tuple(np.quantile(numbers, [0.05, 0.5, 0.95]))
    assert exact["rare"].quantiles == (7, 7, 7)
    assert (exact["nan"].count, exact["later"].count) == (2, 250)
    fewer = {signal.name: signal for signal in signals(tmp_path, manifest, limit=100)}
    assert (fewer["words"].count, fewer["words"].step) == (500, 8)
    assert fewer["words"].quantiles == tuple(np.quantile(numbers[::8], [0.05, 0.5, 0.95]))
    assert fewer["rare"] == exact["rare"]
    write_report(tmp_path, manifest)
    assert "more than a million" not in (tmp_path / "report.html").read_text("utf-8")


def test_examples_are_the_first_of_each_reason_and_cut(tmp_path: Path) -> None:
    def rejects(rows: list[tuple[str, str, str]]) -> pa.Table:
        texts = [{"id": i, "stage": s, "reason": r, "excerpt": "word " * 200 if i != "c" else None} for i, s, r in rows]
        return pa.Table.from_pylist(texts, REJECTS)

    many = [(f"n{n}", "rules", "short") for n in range(1000)]
    files = [
        put(tmp_path, "rejects/a.parquet", rejects([*many, ("c", "rules", "odd"), ("d", "near", "copy")])),
        put(tmp_path, "rejects/b.parquet", rejects([("e", "rules", "short"), ("f", "rules", "odd")])),
    ]
    stages = [
        StageCounts(kind="rules", dropped={"short": 1001, "odd": 2}),
        StageCounts(kind="near", dropped={"copy": 1}),
    ]
    found = examples(tmp_path, made_up(files=files, stages=stages), 3)
    ids = {key: [row["id"] for row in rows] for key, rows in found.items()}
    assert ids == {("rules", "short"): ["n0", "n1", "n2"], ("rules", "odd"): ["c", "f"], ("near", "copy"): ["d"]}
    assert list(ids) == [("rules", "short"), ("rules", "odd"), ("near", "copy")]
    assert {len(row["excerpt"]) for rows in found.values() for row in rows} == {300, 0}
    (tmp_path / "rejects" / "b.parquet").unlink()  # not opened where nothing is missing any more
    stages[0].dropped["odd"] = 1
    assert len(examples(tmp_path, made_up(files=files, stages=stages), 3)["rules", "odd"]) == 1


def test_the_quarantine_is_shown_up_to_a_limit(tmp_path: Path) -> None:
    files = [put(tmp_path, f"quarantine/{n}.parquet", pa.table({"source": [str(n)] * 600})) for n in range(2)]
    rows = quarantined(tmp_path, made_up(files=files), 700)
    assert [row["source"] for row in rows] == ["0"] * 600 + ["1"] * 100


def test_what_corpus_stages_tell_is_shown_and_escaped(tmp_path: Path) -> None:
    hosts = [{"host": "<b>.example", "lines": 1200, "share": 0.12345}, {"host": "b.example", "lines": 1, "share": 0.0}]
    facts = {"remove_repeated_lines": {"lines_removed": 1201, "by_host": hosts}, "deduplicate": {"by_size": []}}
    manifest = made_up(corpus_stages=facts)
    write_report(tmp_path, manifest)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<td>lines removed</td><td class=number>1,201</td>" in page
    assert "<th>host</th><th class=number>lines</th>" in page
    assert "<td>&lt;b&gt;.example</td><td class=number>1,200</td><td class=number>0.123</td>" in page
    assert "<b>.example" not in page
    assert "remove_repeated_lines: lines removed 1,201" in summary(tmp_path, manifest).splitlines()
