"""Train the model that tells the main content of pages from the rest, and write it with its folds.

    python benchmarks/html_train.py MODEL_DIRECTORY wcxb_dev.jsonl.gz scrapinghub.jsonl.gz

`model.npz` learns from all pages and goes into `stages/data/`, with a new `StripHtml.version`, for the output changes;
`model_0.npz` … learn without the pages of one fold of hosts, and `benchmarks/html_extraction.py quality … --fold-models
MODEL_DIRECTORY` scores each page by the model that has not seen its host.

Two stages of boosted trees (LightGBM, only needed here). What class words and short texts ("read more") say of a block is learned
as the logarithm of odds, always without the pages that it is then applied to, or the trees would trust it too much; the same
holds for the scores of the first stage that the second one sees.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import itertools
import json
import pickle
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from html_labels import CONTENT, UNKNOWN, LabelledPage, label_page
from html_pages import read_pages

from corpusmill.stages.html_page import ClassWords, declared_shares, read_page
from corpusmill.stages.kernels.boosted_trees import pack_trees, predict
from corpusmill.stages.kernels.html_context import CONTEXT, CONTEXT_NAMES, describe_context
from corpusmill.stages.kernels.html_feature_names import FEATURES, NAMES
from corpusmill.stages.kernels.html_features import describe
from corpusmill.stages.kernels.html_tags import CATEGORY_WORDS, hash_name

FOLDS = 4
_MOST_BLOCKS = 3000
_FEWEST_PAGES = 8  # that a class word is on, to be known
_FEWEST_TEXTS = 6  # the same of short texts
_PRIOR = 3.0  # pages of evidence that a word starts with
_FIRST, _SECOND = (150, 31), (60, 15)
"""Trees, and leaves of each."""
_SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.08,
    "max_depth": 6,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.4,
    "lambda_l2": 5,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbose": -1,
}

Matrix = npt.NDArray[np.float32]


def _evidence(page: LabelledPage) -> tuple[dict[str, tuple[float, float]], dict[int, tuple[float, float]]]:
    """Return for each class word of a page, and for each short text: (share of content under it, weight)."""
    known = page.labels != UNKNOWN
    roots = np.sqrt(page.lengths)
    content, total = np.zeros((2, len(page.parents)))
    np.add.at(content, page.containers[known], (roots * (page.labels == CONTENT))[known])
    np.add.at(total, page.containers[known], roots[known])
    for row in range(len(page.parents) - 1, 0, -1):
        content[page.parents[row]] += content[row]
        total[page.parents[row]] += total[row]
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for container, word in dict.fromkeys(page.class_words):
        if total[container]:
            sums[word][0] += content[container]
            sums[word][1] += total[container]
    texts: dict[int, list[int]] = defaultdict(list)
    for text in np.flatnonzero(known & (page.hashes != 0)).tolist():
        texts[int(page.hashes[text])].append(int(page.labels[text]))
    words = {word: (share / weight, min(1.0, weight / 30)) for word, (share, weight) in sums.items()}
    return words, {text: (float(np.mean(found)), 1.0) for text, found in texts.items()}


class _Tables:
    """Class words and short texts that enough pages have, and their weights as learned from some of the pages."""

    def __init__(self, pages: Sequence[LabelledPage]) -> None:
        self.evidence = [_evidence(page) for page in pages]
        counts = Counter(itertools.chain.from_iterable(words for words, _ in self.evidence))
        text_counts = Counter(itertools.chain.from_iterable(texts for _, texts in self.evidence))
        self.words = sorted({word for word, count in counts.items() if count >= _FEWEST_PAGES} | set(CATEGORY_WORDS))
        self.texts = sorted(text for text, count in text_counts.items() if count >= _FEWEST_TEXTS)
        self.word_keys, self.word_places = _places([hash_name(word.encode()) for word in self.words])
        self.text_keys, self.text_places = _places(self.texts)
        self.categories = np.zeros(len(self.word_keys), np.int64)
        for word, place in zip(self.words, self.word_places, strict=True):
            self.categories[place] = CATEGORY_WORDS.get(word, 0)

    def learned(self, chosen: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
        """Return the tables with weights from the pages *chosen*."""
        evidence = [self.evidence[number] for number in chosen]
        word_odds = _log_odds([words for words, _ in evidence], self.words)
        text_odds = _log_odds([texts for _, texts in evidence], self.texts)
        word_weights, text_weights = (
            np.zeros(len(self.word_keys), np.float32),
            np.zeros(len(self.text_keys), np.float32),
        )
        word_weights[self.word_places], text_weights[self.text_places] = word_odds, text_odds
        return {
            "words": self.word_keys,
            "word_weights": word_weights,
            "word_categories": self.categories,
            "texts": self.text_keys,
            "text_weights": text_weights,
        }


def _places(hashes: Sequence[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (table of hashes, places of the hashes in it): open addressing, half full at most."""
    size = 1 << (2 * len(hashes)).bit_length()
    keys, places = np.zeros(size, np.int64), np.zeros(len(hashes), np.int64)
    for number, hashed in enumerate(hashes):
        place = hashed & (size - 1)
        while keys[place] and keys[place] != hashed:
            place = (place + 1) & (size - 1)
        keys[place], places[number] = hashed, place
    return keys, places


def _log_odds(evidence: Sequence[dict[Any, tuple[float, float]]], names: Sequence[Any]) -> Matrix:
    """Return for each name how much likelier content is under it than elsewhere, as a logarithm; 0 where too little is known."""
    content: dict[Any, float] = defaultdict(float)
    other: dict[Any, float] = defaultdict(float)
    for found in evidence:
        for name, (share, weight) in found.items():
            content[name] += share * weight
            other[name] += (1 - share) * weight
    usual = sum(content.values()) / (sum(content.values()) + sum(other.values()))
    odds = np.zeros(len(names), np.float32)
    for number, name in enumerate(names):
        if content[name] + other[name] >= _PRIOR:
            ratio = (content[name] + _PRIOR * usual) / (other[name] + _PRIOR * (1 - usual))
            odds[number] = np.log(ratio) - np.log(usual / (1 - usual))
    return odds


class _Described:
    """A page as the model sees it."""

    def __init__(self, page: LabelledPage, tables: dict[str, npt.NDArray[Any]]) -> None:
        words = ClassWords(tables["words"], tables["word_weights"], tables["word_categories"])
        read = read_page(page.source, words)
        self.blocks, self.containers = read.blocks, read.containers
        self.features = np.zeros((len(read.blocks), FEATURES + CONTEXT), np.float32)
        self.lengths = np.empty(len(read.blocks))
        self.groups = np.empty(len(read.containers), np.int64)
        texts = tables["texts"], tables["text_weights"]
        describe(
            *(read.blocks, read.containers, read.weights, read.facts, texts, declared_shares(read)),
            *(self.features, self.lengths, self.groups),
        )

    def with_context(self, scores: Matrix) -> Matrix:
        """Return all features; *scores* are those of the first stage."""
        described: Matrix = self.features.copy()
        describe_context(self.blocks, self.containers, self.lengths, self.groups, scores, described)
        return described


def _fit(
    matrices: Sequence[Matrix], pages: Sequence[LabelledPage], chosen: Sequence[int], size: tuple[int, int]
) -> Any:
    rows, labels, weights = [], [], []
    for number in chosen:
        page = pages[number]
        known = page.labels != UNKNOWN
        roots = np.sqrt(page.lengths)
        rows.append(matrices[number][known])
        labels.append(page.labels[known])
        weights.append((roots / roots.sum() * 30)[known])  # every page counts the same
    trees, leaves = size
    data = lightgbm.Dataset(np.concatenate(rows), np.concatenate(labels), weight=np.concatenate(weights))
    return lightgbm.train({**_SETTINGS, "num_leaves": leaves}, data, trees)


def _trees(model: Any) -> tuple[npt.NDArray[Any], ...]:
    """Return the trees of a LightGBM model as `kernels/boosted_trees.py` takes them."""
    roots: list[int] = []
    depths: list[int] = []
    child: list[int] = []
    feature: list[int] = []
    threshold: list[Any] = []
    value: list[float] = []
    for tree in model.dump_model()["tree_info"]:
        waiting = [(tree["tree_structure"], 0)]
        base = len(child)
        roots.append(base)
        for number, (node, depth) in enumerate(waiting):  # grows while it is read: breadth first, children side by side
            if "split_feature" in node:
                assert node["decision_type"] == "<="
                limit = np.float32(node["threshold"])
                if float(limit) > node["threshold"]:  # "at most" must mean the same for float32
                    limit = np.nextafter(limit, np.float32(-np.inf))
                child.append(base + len(waiting))
                feature.append(node["split_feature"])
                threshold.append(limit)
                value.append(0.0)
                waiting += [(node["left_child"], depth + 1), (node["right_child"], depth + 1)]
            else:
                child.append(base + number)
                feature.append(0)
                threshold.append(np.float32(np.inf))
                value.append(node["leaf_value"])
        depths.append(max(depth for _, depth in waiting))
    integers = (np.array(numbers, np.int32) for numbers in (roots, depths, child, feature))
    return (*integers, np.array(threshold, np.float32), np.array(value, np.float32))


def _scores(model: Any, rows: Matrix) -> Matrix:
    scores = np.empty(len(rows), np.float32)
    predict(np.ascontiguousarray(rows), _trees_of(id(model), model), scores)
    return scores


_KNOWN_TREES: dict[int, Any] = {}


def _trees_of(key: int, model: Any) -> Any:
    if key not in _KNOWN_TREES:
        _KNOWN_TREES[key] = (pack_trees(*_trees(model)), model)  # the model too, so that its id is not used again
    return _KNOWN_TREES[key][0]


_PARTS = ("roots", "depths", "child", "feature", "threshold", "value")


def _save(path: Path, tables: dict[str, npt.NDArray[Any]], first: Any, second: Any) -> None:
    stages: dict[str, Any] = {
        f"{stage}_{part}": array
        for stage, model in (("first", first), ("second", second))
        for part, array in zip(_PARTS, _trees(model), strict=True)
    }
    arrays: dict[str, Any] = {"shape": np.array([FEATURES, CONTEXT]), **tables, **stages}
    np.savez_compressed(path, **arrays)


def _report(pages: Sequence[LabelledPage], scores: Sequence[Matrix], cut: float = 0.45) -> dict[str, tuple[int, float]]:
    """Return the mean F1 of chosen blocks against labelled ones, by character, for each set and each type of page."""
    found: dict[str, list[float]] = defaultdict(list)
    for page, score in zip(pages, scores, strict=True):
        known = page.labels != UNKNOWN
        content, chosen = (page.labels == CONTENT) & known, (score > cut) & known
        if not content.any():
            continue
        common = page.lengths[content & chosen].sum()
        f1 = 2 * common / (page.lengths[content].sum() + page.lengths[chosen].sum())
        for group in ("all", page.dataset, f"{page.dataset}: {page.page_type}"):
            found[group].append(f1)
    return {group: (len(values), round(float(np.mean(values)), 4)) for group, values in sorted(found.items())}


def train(pages: Sequence[LabelledPage], directory: Path) -> None:
    """Train on *pages* and write the models into *directory*."""
    tables = _Tables(pages)
    everything = range(len(pages))
    outside = [[n for n in everything if pages[n].fold != fold] for fold in range(FOLDS)]
    learned = [tables.learned(chosen) for chosen in outside]
    described = [_Described(page, learned[page.fold]) for page in pages]
    matrices = [page.features[:, :FEATURES] for page in described]
    firsts = [_fit(matrices, pages, chosen, _FIRST) for chosen in outside]
    scores = [_scores(firsts[page.fold], matrices[n]) for n, page in enumerate(pages)]
    print("first stage", json.dumps(_report(pages, scores)), flush=True)
    contexts = [page.with_context(scores[n]) for n, page in enumerate(described)]
    seconds = [_fit(contexts, pages, chosen, _SECOND) for chosen in outside]
    scores = [_scores(seconds[page.fold], contexts[n]) for n, page in enumerate(pages)]
    print("second stage", json.dumps(_report(pages, scores)), flush=True)
    directory.mkdir(parents=True, exist_ok=True)
    for fold in range(FOLDS):
        _save(directory / f"model_{fold}.npz", learned[fold], firsts[fold], seconds[fold])
    first, second = _fit(matrices, pages, everything, _FIRST), _fit(contexts, pages, everything, _SECOND)
    _save(directory / "model.npz", tables.learned(everything), first, second)
    _print_gains("first", first, NAMES)
    _print_gains("second", second, NAMES + CONTEXT_NAMES)
    print(
        f"{len(tables.words)} class words, {len(tables.texts)} short texts, {(directory / 'model.npz').stat().st_size:,} bytes"
    )


def _print_gains(stage: str, model: Any, names: Sequence[str]) -> None:
    gains = model.feature_importance("gain")
    best = np.argsort(-gains)[:30]
    print(stage, ", ".join(f"{names[n]} {gains[n] / gains.sum():.3f}" for n in best))


def _labelled(paths: Sequence[Path]) -> list[LabelledPage]:
    label: Callable[..., Any] = functools.partial(label_page, folds=FOLDS, most_blocks=_MOST_BLOCKS)
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        pages = executor.map(label, itertools.chain.from_iterable(map(read_pages, paths)), chunksize=32)
        return [page for page in pages if page is not None]


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("directory", type=Path, help="where the models are written")
    parser.add_argument("pages", type=Path, nargs="+", help="pages with marked content, *.jsonl.gz")
    parser.add_argument("--labelled", type=Path, help="keep the labelled pages in this file and use them the next time")
    options = parser.parse_args()
    if options.labelled and options.labelled.exists():
        pages = pickle.loads(options.labelled.read_bytes())
    else:
        pages = _labelled(options.pages)
        if options.labelled:
            options.labelled.write_bytes(pickle.dumps(pages))
    print(f"{len(pages)} pages, {sum(len(page.labels) for page in pages):,} blocks", flush=True)
    train(pages, options.directory)


if __name__ == "__main__":
    main()
