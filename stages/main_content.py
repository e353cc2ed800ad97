"""The main content of a page: what a reader came for, without menus, advertisements, teasers and footers.

Each block of text is judged by two stages of small boosted trees that learned from 1,652 pages what is content: news, forums,
product pages, lists, documentation, services. How well it does is in benchmarks/results/html.md, beside other extractors on the
same pages; where the model comes from, in docs/html.md.

Rejected: rules on a tree of elements as in Readability and trafilatura (F1 .54 to .82 on pages that are no articles, 40 pages a
second), and resiliparse's (.888 against .919 of trafilatura's).
"""

from __future__ import annotations

import functools
import zipfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.stages.html_page import ClassWords, HtmlPage, declared_shares, references

if TYPE_CHECKING:
    from corpusmill.stages.kernels.boosted_trees import Trees

__all__ = ["ContentModel", "Favor", "Judged", "Layout", "Links", "content_model", "kept_blocks", "render_text"]

Favor = Literal["precision", "balanced", "recall"]
Links = Literal["drop", "text", "markdown"]
Layout = Literal["text", "markdown"]
Keep = npt.NDArray[np.bool_]

_MODEL = "html_model_v1.npz"
_CUTS: dict[Favor, tuple[float, float]] = {"precision": (0.6, 0.75), "balanced": (0.4, 0.6), "recall": (0.15, 0.35)}
"""Between which scores the cut of a page may lie."""
_CRUMB = 200  # bytes: less than this is no page's content if there is more
_PLAIN = 0.25
"""If every block scores more, the page (a fragment, mostly) has no boilerplate, and all of it is kept: 6 of 2,513 real pages."""


class Judged(NamedTuple):
    """What the model thinks of a page."""

    scores: npt.NDArray[np.float32]
    """How probably each block is content."""
    lengths: npt.NDArray[np.float64]
    """Of the blocks, in characters as features count them."""
    groups: npt.NDArray[np.int64]
    """The number of each container's template."""


class ContentModel(NamedTuple):
    """What was learned: words of class names, short texts, and the trees of two stages."""

    words: ClassWords
    texts: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
    first: Trees
    second: Trees

    @classmethod
    def load(cls, path: Path) -> ContentModel:
        """Return the model that `benchmarks/html_train.py` wrote.

        Raises:
            RecipeError: the file is none, or has features that this version does not compute.

        """
        from corpusmill.stages.kernels.boosted_trees import pack_trees
        from corpusmill.stages.kernels.html_context import CONTEXT
        from corpusmill.stages.kernels.html_feature_names import FEATURES

        parts = ("roots", "depths", "child", "feature", "threshold", "value")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                words = ClassWords(arrays["words"], arrays["word_weights"], arrays["word_categories"])
                texts = arrays["texts"], arrays["text_weights"]
                first, second = (
                    pack_trees(*(arrays[f"{stage}_{part}"] for part in parts)) for stage in ("first", "second")
                )
                shape = arrays["shape"].tolist()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise RecipeError(f"{path} is no model of main content: {error}") from error
        if shape != [FEATURES, CONTEXT]:
            raise RecipeError(
                f"{path} was trained with {shape[0]} and {shape[1]} features of a block, this version has {FEATURES} and "
                f"{CONTEXT}: train it again with benchmarks/html_train.py"
            )
        return cls(words, texts, first, second)

    def scores(self, page: HtmlPage) -> Judged:
        """Return for each block how probably it is content."""
        from corpusmill.stages.kernels.boosted_trees import predict
        from corpusmill.stages.kernels.html_context import CONTEXT, describe_context
        from corpusmill.stages.kernels.html_feature_names import FEATURES
        from corpusmill.stages.kernels.html_features import describe

        count = len(page.blocks)
        features = np.zeros((count, FEATURES + CONTEXT), np.float32)
        lengths, groups = np.empty(count), np.empty(len(page.containers), np.int64)
        scores, final = np.empty(count, np.float32), np.empty(count, np.float32)
        declared = declared_shares(page)
        describe(
            page.blocks, page.containers, page.weights, page.facts, self.texts, declared, features, lengths, groups
        )
        predict(features, self.first, scores)
        describe_context(page.blocks, page.containers, lengths, groups, scores, features)
        predict(features, self.second, final)
        return Judged(final, lengths, groups)


@functools.cache
def content_model() -> ContentModel:
    """Return the model that comes with the package."""
    with resources.as_file(resources.files("corpusmill.stages") / "data" / _MODEL) as path:
        return ContentModel.load(path)


def kept_blocks(page: HtmlPage, model: ContentModel, favor: Favor = "balanced") -> Keep:
    """Return which blocks of a page are its main content. On a page with any block it keeps at least one."""
    from corpusmill.stages.kernels.html_layout import B_BYTES
    from corpusmill.stages.kernels.html_select import complete, complete_rows, drop_tail, select

    keep = np.zeros(len(page.blocks), np.bool_)
    if not len(keep):
        return keep
    scores, lengths, groups = model.scores(page)
    cut = select(page.data, page.blocks, page.pieces, lengths, groups, scores, *_CUTS[favor], keep)
    if favor != "recall":
        drop_tail(page.blocks, page.containers, groups, scores, keep)
    if favor != "precision":
        complete(page.blocks, page.containers, groups, scores, cut, keep)
        complete_rows(page.blocks, page.containers, keep)
        if scores.min() > _PLAIN:
            return np.ones_like(keep)
    sizes = page.blocks[:, B_BYTES]
    kept = sizes[keep].sum()
    if kept < _CRUMB:  # next to nothing: lower the bar, at last to all of a page with twenty times as much
        for bar, enough in ((0.3, kept), (0.15, max(2 * kept, _CRUMB / 2)), (0.0, max(20 * kept, _CRUMB))):
            more = scores > bar
            if sizes[more].sum() > enough:
                return more
        if not keep.any():
            keep = scores >= 0.5 * scores.max()
    return keep


def render_text(
    page: HtmlPage, keep: Keep, *, links: Links = "text", layout: Layout = "text", bullets: bool = False
) -> str:
    """Return the text of the blocks *keep*."""
    from corpusmill.stages.kernels import html_layout, html_render

    wanted = {
        "drop": html_render.LINKS_DROPPED,
        "text": html_render.LINKS_TEXT,
        "markdown": html_render.LINKS_MARKED,
    }[links]
    if links == "drop":
        keep = keep & (page.blocks[:, html_layout.B_LINKED] < page.blocks[:, html_layout.B_CHARACTERS])
    out = np.empty(html_render.room_for(page.blocks, page.containers, page.pieces, keep), np.uint8)
    tables = page.data, page.blocks, page.containers, page.pieces, keep, references()
    if layout == "markdown":
        from corpusmill.stages.kernels.html_markdown import render_markdown  # not compiled before it is wanted

        size = render_markdown(*tables, wanted, out)
    else:
        size = html_render.render(*tables, wanted, bullets, out)
    return str(out[:size].tobytes(), "utf-8")
