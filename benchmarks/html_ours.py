"""Our engines of `StripHtml`, through the public stage, and models that are tried before they are built in.

A stage gets what the readers give it, pages as bytes in a batch of Arrow, so that decoding is part of what is measured here
and of no peer's time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow as pa
from html_pages import Page, fold_of, host_of

from corpusmill.schemas import DOCUMENTS
from corpusmill.stages import StripHtml
from corpusmill.stages.html_page import read_page
from corpusmill.stages.main_content import ContentModel, content_model, kept_blocks, render_text

__all__ = ["FOLDS", "engines", "extractor", "fast_extractor", "load", "timed"]

Extractor = Callable[[Sequence[Page]], tuple[list[str], list["str | None"]]]

FOLDS = "folds of "
"""What the name of a variant begins with that takes, for each page, the model that never saw its host: model_K.npz is the
one that was trained without the pages of fold K, of as many folds as there are models."""


def engines() -> list[str]:
    """Return the names of the engines that the installed version has."""
    return list(get_args(get_type_hints(StripHtml)["engine"]))


def fast_extractor(model: Path | None) -> Callable[[str], str]:
    """Return what the engine `fast` does with a page, by the model in a file (None: the model that is built in)."""
    content = ContentModel.load(model) if model else content_model()

    def extract(html: str) -> str:
        page = read_page(html.encode("utf-8", "replace"), content.words)
        return render_text(page, kept_blocks(page, content))

    return extract


def extractor(variant: str) -> Extractor:
    """Return what maps pages to their texts and, for each, the reason for which the stage would have dropped it."""
    if variant.startswith(FOLDS):
        return _out_of_fold(Path(variant.removeprefix(FOLDS)))
    stage = _stage(variant)

    def run(pages: Sequence[Page]) -> tuple[list[str], list[str | None]]:
        batch, verdicts = stage.judge(load(pages))
        reasons = [reason or None for reason in verdicts.field("reason").to_pylist()]
        texts = batch.column("text").to_pylist()
        return ["" if reason else text or "" for text, reason in zip(texts, reasons, strict=True)], reasons

    return run


def load(pages: Sequence[Page]) -> pa.RecordBatch:
    """Return the pages as the readers give them."""
    names, urls = [page.name for page in pages], [page.url for page in pages]
    html = pa.array([page.html.encode() for page in pages], DOCUMENTS.field("html").type)
    columns = {"id": names, "url": urls, "source": names, "html": html}
    return pa.record_batch([columns.get(name, [None] * len(pages)) for name in DOCUMENTS.names], DOCUMENTS)


def timed(variant: str) -> Callable[[pa.RecordBatch], object]:
    """Return the work whose time counts, over what `load` gives: the call of a stage on a batch."""
    return _stage(variant)


def _stage(engine: str) -> StripHtml:
    return StripHtml(engine=engine)  # type: ignore[arg-type]  # the names come from `engines`


def _out_of_fold(folder: Path) -> Extractor:
    models = sorted(folder.glob("model_*.npz"))
    if [model.name for model in models] != [f"model_{number}.npz" for number in range(len(models))] or not models:
        raise SystemExit(f"{folder}: models must be called model_0.npz, model_1.npz, … (at most 10)")
    extract = [fast_extractor(model) for model in models]

    def run(pages: Sequence[Page]) -> tuple[list[str], list[str | None]]:
        return [extract[fold_of(host_of(page), len(models))](page.html) for page in pages], [None] * len(pages)

    return run
