"""The contract that every stage keeps; a new stage gets these tests by being in the registry.

Pack is not here: its rows out are not its rows in (see tests/stages/test_pack.py).
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.isolation import isolate
from corpusmill.schemas import DOCUMENTS, VERDICT, Document, Drop, InvalidTextError, RecipeError, StageError
from corpusmill.stages import DocumentStage, Function, Pack, Stage, known_stages, stage_from

ARGUMENTS: dict[str, dict[str, Any]] = {
    "decontaminate": {"references": [str(Path(__file__).parent / "evaluation_set.jsonl")], "action": "trim"},
    "tokenize": {"tokenizer": "bytes"},
}
ENGINES = ["resiliparse", "bs4", "text", *(["trafilatura"] if importlib.util.find_spec("trafilatura") else [])]
MODES: dict[str, dict[str, Any]] = {
    "remove_repeated_lines of a host": {"scope": "host", "maximum_documents": 1},
    **{f"strip_html by {engine}": {"engine": engine} for engine in ENGINES},
}
"""Settings that make another stage of a kind, which keeps the contract too."""

SENTENCES = [
    "The mill by the river has ground flour for the village since the time of the old bridge, and it still does today.",
    "Die Mühle am Fluss mahlt seit der Zeit der alten Brücke das Mehl für das Dorf, und sie tut es noch heute.",
    "川のそばの水車小屋は、古い橋の時代から村のために粉をひいてきた。今日もそうである。",
    "Write to mill@example.org or call +49 30 1234567 from 8.8.8.8 😀🇩🇪 — itâ€™s cafÃ© time!",
]
TEXTS = [
    "\n".join(SENTENCES * 3),
    SENTENCES[0] * 8,
    SENTENCES[1] * 8,
    SENTENCES[2] * 8,
    SENTENCES[3],
    "",
    " \n\t ",
    "0 1 2 3",
    "a",
    "\x00\ufeff\u200b\U0010ffff",
    "word " * 400,
    SENTENCES[0] * 8,
]
PAGE = "<html><body><nav><a href=/>home</a></nav><article><h1>Mill</h1><p>{}</p></article></body></html>"


def make(kind: str) -> Stage:
    return stage_from({"kind": kind.partition(" ")[0], **ARGUMENTS.get(kind, {}), **MODES.get(kind, {})}, "test")


def shout(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "text": document["text"].upper()}


def batch_of(texts: Sequence[str | None], html: bool = False) -> pa.RecordBatch:
    rows = [
        {
            "id": f"document-{number}",
            "url": f"https://example.org/{number}",
            "source": "test.jsonl",
            "html": PAGE.format(text).encode() if html and text is not None else None,
            "text": None if html else text,
            "metadata": "{}",
        }
        for number, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENTS)


def batch_for(kind: str) -> pa.RecordBatch:
    """Return a batch that has something to do for a stage: pages for what reads pages, else texts."""
    return batch_of([*TEXTS, None], html=True) if kind.startswith("strip_html") else batch_of(TEXTS)


def judged(stage: Stage, batch: pa.RecordBatch) -> tuple[dict[str, Any], list[Any]]:
    out, verdicts = stage.judge(batch)
    return out.to_pydict(), verdicts.to_pylist()


KINDS = [kind for kind, cls in known_stages().items() if not issubclass(cls, Pack | Function)] + [*MODES]
per_stage = pytest.mark.parametrize("kind", KINDS)
per_independent_stage = pytest.mark.parametrize("kind", [kind for kind in KINDS if make(kind).ordered is None])
per_corpus_stage = pytest.mark.parametrize("kind", [kind for kind in KINDS if make(kind).ordered is not None])


@per_stage
def test_settings_pickle_hash_and_survive_a_round_trip(kind: str) -> None:
    stage = make(kind)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert hash(stage) == hash(make(kind))
    assert stage.kind == kind.partition(" ")[0]
    assert stage_from(msgspec.to_builtins(stage), "test") == stage
    assert msgspec.json.schema(type(stage))["$defs"][type(stage).__name__]["type"] == "object"


@per_stage
def test_unknown_settings_are_refused_with_the_place(kind: str) -> None:
    kind = make(kind).kind
    with pytest.raises(RecipeError, match=rf"my.toml: stage 3 \({kind}\): unknown setting 'nonsense'"):
        stage_from({"kind": kind, "nonsense": 1}, "my.toml: stage 3")


@per_stage
@pytest.mark.parametrize("html", [False, True])
def test_rows_are_conserved_and_reasons_are_declared(kind: str, html: bool) -> None:
    stage = make(kind)
    batch = batch_of([*TEXTS, None], html)
    out, verdicts = stage.judge(batch)
    assert out.num_rows == len(verdicts) == batch.num_rows
    assert out.column("id").equals(batch.column("id"))
    assert verdicts.type == VERDICT
    assert {v["reason"] for v in verdicts.to_pylist() if v} <= stage.reasons
    for field in stage.added_columns():
        assert out.schema.field(field.name).type == field.type
    assert set(out.schema.names) == {*batch.schema.names, *stage.added_columns().names}


@per_stage
def test_it_is_deterministic(kind: str) -> None:
    batch = batch_for(kind)
    assert judged(make(kind), batch) == judged(make(kind), batch)


@per_independent_stage
@pytest.mark.parametrize("size", [1, 7])
def test_results_do_not_depend_on_the_batch_size(kind: str, size: int) -> None:
    stage, batch = make(kind), batch_for(kind)
    opened = stage.open()
    parts = [opened(batch.slice(at, size)) for at in range(0, batch.num_rows, size)]
    whole, verdicts = opened(batch)
    assert pa.Table.from_batches([out for out, _ in parts]).to_pydict() == whole.to_pydict()
    assert [v for _, some in parts for v in some.to_pylist()] == verdicts.to_pylist()


@per_corpus_stage
@pytest.mark.parametrize("size", [1, 7])
def test_what_an_index_resolves_does_not_depend_on_how_documents_are_cut(kind: str, size: int) -> None:
    stage, batch = make(kind), batch_of([*TEXTS, None, *TEXTS])
    assert stage.ordered is not None
    sketch, index, settle = stage.ordered.sketch(), stage.ordered.open_index(), stage.ordered.settle()
    outs: list[Any] = []
    verdicts: list[Any] = []
    for at in range(0, batch.num_rows, size):
        part = batch.slice(at, size)
        for number in range(part.num_rows):
            assert sketch(part.slice(number, 1)).to_pylist() == sketch(part).slice(number, 1).to_pylist()
        ((split, resolved),) = index.add(at, pa.Table.from_batches([sketch(part)]))
        assert (split, len(resolved)) == (at, part.num_rows)
        for number in range(part.num_rows):
            out, some = settle(part.slice(number, 1), resolved.slice(number, 1))
            outs += out.to_pylist()
            verdicts += some.to_pylist()
    whole, expected = stage.judge(batch)
    assert (outs, verdicts) == (whole.to_pylist(), expected.to_pylist())


@per_stage
def test_calling_a_stage_drops_what_it_judged(kind: str) -> None:
    stage, batch = make(kind), batch_of(TEXTS)
    _, verdicts = stage.judge(batch)
    kept = [
        id_
        for id_, verdict in zip(batch.column("id").to_pylist(), verdicts.to_pylist(), strict=True)
        if verdict is None
    ]
    assert stage(batch).column("id").to_pylist() == kept
    table = stage(pa.Table.from_batches([batch.slice(0, 5), batch.slice(5)]))
    assert table.column("id").to_pylist() == kept


@per_stage
def test_slices_empty_batches_and_other_string_types_are_taken(kind: str) -> None:
    stage, batch = make(kind), batch_of(TEXTS)
    out, verdicts = stage.judge(batch.slice(0, 0))
    assert out.num_rows == len(verdicts) == 0
    assert set(stage.added_columns().names) <= set(out.schema.names)
    padded = pa.Table.from_batches([batch_of(["before"]), batch]).combine_chunks().to_batches()[0].slice(1)
    assert judged(stage, padded)[1] == judged(stage, batch)[1]
    text = batch.schema.get_field_index("text")
    narrow = batch.set_column(text, "text", batch.column("text").cast(pa.string()))
    out, verdicts = stage.judge(narrow)
    assert out.column("text").to_pylist() == judged(stage, batch)[0]["text"]


@per_stage
def test_text_alone_is_enough(kind: str) -> None:
    stage = make(kind)
    out, verdicts = stage.judge(pa.record_batch({"text": pa.array(TEXTS)}))
    assert out.num_rows == len(verdicts) == len(TEXTS)


@pytest.fixture(scope="module")
def worker() -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit


@per_stage
def test_a_spawned_worker_gives_the_same(kind: str, worker: Callable[..., Any]) -> None:
    stage, batch = make(kind), batch_for(kind)
    out, verdicts = worker(type(stage).judge, stage, batch).result()
    assert (out.to_pydict(), verdicts.to_pylist()) == judged(stage, batch)


OPENED: dict[str, Any] = {}


@per_stage
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), min_size=1, max_size=4),
    html=st.booleans(),
)
def test_any_text_is_taken(kind: str, texts: list[str], html: bool) -> None:
    if kind not in OPENED:
        OPENED[kind] = make(kind).open()
    out, verdicts = OPENED[kind](batch_of(list(texts), html))
    assert out.num_rows == len(verdicts) == len(texts)


PIECES = st.sampled_from(
    [*SENTENCES, *TEXTS, *"\n\t .,-@0123456789&;<>#:aé\xa0\u00ad\u200d\ufe0f☺", "http://a.b/", "xx@y.zz"]
)
GUARDED = [kind for kind in KINDS if isinstance(make(kind), DocumentStage) and make(kind).guard() is not None]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def both_ways() -> dict[str, tuple[Any, Any]]:
    opened = {}
    for kind in GUARDED:
        with pytest.MonkeyPatch.context() as patch:
            guarded = make(kind).open()
            patch.setattr(type(make(kind)), "guard", lambda _: None)
            opened[kind] = guarded, make(kind).open()
    return opened


@pytest.mark.parametrize("kind", GUARDED)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.none() | st.text(max_size=50) | st.lists(PIECES | st.text(max_size=2), max_size=8).map("".join), min_size=1
    )
)
def test_a_guard_passes_over_what_would_come_out_as_it_went_in(
    kind: str, texts: list[str | None], both_ways: dict[str, tuple[Any, Any]]
) -> None:
    guarded, plain = both_ways[kind]
    batch = batch_of([None if text is None else text.encode("utf-8", "replace").decode() for text in texts])
    (out, verdicts), (expected, expected_verdicts) = guarded(batch), plain(batch)
    assert verdicts.to_pylist() == expected_verdicts.to_pylist()
    for name in expected.schema.names:
        assert out.column(name).to_pylist() == expected.column(name).to_pylist() or name == "text"
    assert pc.fill_null(out.column("text"), "").equals(pc.fill_null(expected.column("text"), ""))


class Forgetful(DocumentStage, frozen=True, kw_only=True):
    """Breaks the contract in the way that its setting says."""

    how: str = "none"

    def apply(self, document: Document) -> Document | Drop:
        if self.how == "reason":
            return Drop("because")
        document.signals["odd"] = 1
        return document if self.how == "signal" else None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("none", "forgetful returned NoneType; return the document, or a Drop"),
        ("reason", "forgetful gave the undeclared reason 'because'"),
        ("signal", "forgetful measured the undeclared signal 'odd'"),
    ],
)
def test_code_that_breaks_the_contract_is_named(how: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        Forgetful(how=how).judge(batch_of(["text"]))


def test_a_table_without_text_is_refused_with_what_it_has() -> None:
    with pytest.raises(RecipeError, match=r"normalize_text: the table has no column 'text' \(it has: content\)"):
        make("normalize_text")(pa.table({"content": ["a"]}))
    with pytest.raises(TypeError, match="takes an Arrow RecordBatch or Table, not dict"):
        make("normalize_text")({"text": ["a"]})


def test_a_function_is_a_stage() -> None:
    def rule(document: dict[str, Any]) -> dict[str, Any] | Drop:
        return Drop("too_short", len(document["text"]), 5) if len(document["text"]) < 5 else shout(document)

    out, verdicts = Function(function=rule).judge(batch_of(["abc", "abcdef"]))
    assert out.column("text").to_pylist() == ["abc", "ABCDEF"]
    assert verdicts.to_pylist() == [{"reason": "too_short", "value": 3.0, "limit": 5.0, "ref": None}, None]


def damaged(batch: pa.RecordBatch, text: bytes, row: int) -> pa.RecordBatch:
    """Return *batch* with the bytes *text* in one row, whatever they are."""
    texts = [value.encode() for value in batch.column("text").to_pylist()]
    texts[row] = text
    raw = pa.array(texts, pa.large_binary())
    at = batch.schema.get_field_index("text")
    array = pa.Array.from_buffers(pa.large_string(), len(raw), raw.buffers()).cast(batch.schema.field(at).type)
    return batch.set_column(at, "text", array)


@per_independent_stage
def test_a_text_that_is_not_utf8_costs_itself_at_most(kind: str) -> None:
    texts = [text for text in TEXTS if text]
    private = b"\xff\xfe secret@example.org \xf0\x9f\x98 &amp;\xc3\n" * 30
    batch = damaged(batch_of(texts), private, 4)
    function = make(kind).open()
    good, failed = isolate(function, batch)
    assert [rows.column("id").to_pylist() for rows, _ in failed] in ([], [["document-4"]])
    whole = pa.concat_arrays([verdicts for _, (_, verdicts) in good]).to_pylist()
    if failed:
        whole.insert(4, None)
    _, expected = function(batch_of(texts))
    assert whole[:4] + whole[5:] == expected.to_pylist()[:4] + expected.to_pylist()[5:]


def test_an_error_about_a_text_that_is_not_utf8_names_the_document_and_holds_no_text() -> None:
    private = b"\xff secret@example.org &amp;"
    batch = damaged(batch_of(["a &amp; b", "b", "c &amp; d"]), private, 1)
    for stage in (make("normalize_text"), Function(function=shout)):
        with pytest.raises(InvalidTextError, match="'text' of the document 'document-1' is not UTF-8") as caught:
            stage.judge(batch)
        assert caught.value.__context__ is None
        assert not hasattr(caught.value, "object")
        ((_, error),) = isolate(stage.open(), batch)[1]
        assert isinstance(error, InvalidTextError)
        assert "secret" not in repr(error)
    with pytest.raises(InvalidTextError, match="'text' of the document in row 0"):
        make("normalize_text").judge(batch.select(["text"]).slice(1, 1))
