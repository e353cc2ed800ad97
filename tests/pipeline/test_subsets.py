"""What is held out: by document or by site, for good."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import RecipeError
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.stages.host_lines import host_of
from corpusmill.subsets import subset_of
from support import prose


def test_shares_are_met_and_nest() -> None:
    ids = [f"d{number}" for number in range(20_000)]
    small = OutputSettings(validation_share=0.1, test_share=0.05)
    large = OutputSettings(validation_share=0.1, test_share=0.2)
    counts = Counter(subset_of(id_, None, 0, small) for id_ in ids)
    assert abs(counts["validation"] - 2000) < 150
    assert abs(counts["test"] - 1000) < 100
    moved = {(subset_of(id_, None, 0, small), subset_of(id_, None, 0, large)) for id_ in ids}
    assert moved == {("validation", "validation"), ("test", "test"), ("train", "train"), ("train", "test")}
    assert [subset_of(id_, None, 1, small) for id_ in ids] != [subset_of(id_, None, 0, small) for id_ in ids]


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(RecipeError, match="leave nothing to train on"):
        load_recipe("minimal", ["output.validation_share=0.5", "output.test_share=0.5"])


def test_no_site_is_in_two_subsets(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    for file in range(3):
        rows = [
            {
                "id": f"{file}-{n}",
                "url": f"https://www.site{n % 23}.org/{file}/{n}" if n % 5 else None,
                "text": prose(100 * file + n),
            }
            for n in range(100)
        ]
        (tmp_path / "crawl" / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = ["tokenize.tokenizer=bytes", "output.validation_share=0.2", "output.test_share=0.2"]
    found: dict[str, dict[str, set[str]]] = {}
    for by in ("document", "host"):
        output = tmp_path / by
        manifest = run(load_recipe("minimal", [*changes, f"output.split_by={by}"]), [tmp_path / "crawl"], output)
        assert audit(output).ok
        assert {shard.subset for shard in manifest.shards} == {"train", "validation", "test"}
        found[by] = {}
        for path in (output / "shards").glob("*.parquet"):
            for row in pq.read_table(path).to_pylist():
                host = host_of(row["url"]) or row["id"]
                found[by].setdefault(host, set()).add(path.name.partition("-")[0])
    assert max(map(len, found["document"].values())) == 3
    assert max(map(len, found["host"].values())) == 1
