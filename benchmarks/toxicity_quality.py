"""What `filter_toxicity` drops of hate speech tests and of clean text, beside the rule of C4 with the list that it came with.

    python benchmarks/toxicity_quality.py --labelled LABELLED.jsonl.gz --lists LISTS.jsonl.gz --clean CLEAN.jsonl.gz… > tables.md

LABELLED has `text`, `label` (1: hateful), `lang`, `group` and `source`; LISTS has `word`, `lang` and `source` (LDNOOBW is used);
CLEAN files have `text` or `gold`, and `lang` where it is known. The rule of C4, as its reimplementations have it: one word of
the list for the language drops a document; between characters that are no word characters, anywhere in Japanese, Thai, Chinese.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from corpusmill.schemas import Document, Drop
from corpusmill.stages import FilterToxicity

_UNSPACED = frozenset({"ja", "th", "zh"})
_NAMES = {"English": "en", "Chinese": "zh", "Polish": "pl", "Russian": "ru", "Greek": "el"}
_MEDICAL = re.compile(r"(?i)\b(patients?|clinical|symptoms?|treatments?|diseases?|therap(?:y|ies)|diagnos\w+)\b")
_MEDICAL_ENOUGH = 8
_KINDS = (
    ("slurs against people", r"slur_h$"),
    ("slurs reclaimed", r"slur_reclaimed"),
    ("slurs with an innocent homonym", r"slur_homonym"),
    ("profanity, hateful", r"profanity_h$"),
    ("profanity, not hateful", r"profanity_nh$"),
    ("counter-speech that quotes or refers", r"counter_"),
    ("derogation, dehumanisation, implicit", r"derog_"),
    ("threats", r"threat_"),
    ("changed spelling: letters for signs (leet)", r"spell_leet"),
    ("changed spelling: blanks added", r"spell_space_add"),
    ("changed spelling: other", r"spell_(?!leet|space_add)"),
    ("references, negation, questions, opinions", r"(ref|negate_pos|phrase)_"),
    ("about groups, neutral and positive; negated", r"(ident|negate_neg)"),
    ("abuse of things and persons, no hate", r"target_"),
    ("prompts of ToxiGen, hateful and not", r"(?!.*_n?h$)"),
)


class Measured(NamedTuple):
    """A text, what is known of it, and what each rule says."""

    row: dict[str, Any]
    drops: dict[str, bool | None]
    severity: dict[str, int]


def rules(lists: Iterable[dict[str, Any]]) -> dict[str, Callable[[str, str], Any]]:
    """Return the rules by name; each takes a text and its language and returns whether it drops it, None if it cannot tell."""
    c4 = _c4({row["lang"] for row in lists}, list(lists))
    return {"defaults": _ours(FilterToxicity()), "any strong": _ours(FilterToxicity(maximum_density=19.9)), "C4": c4}


def _ours(stage: FilterToxicity) -> Callable[[str, str], tuple[bool, dict[str, Any]]]:
    apply = stage.build()

    def drops(text: str, _: str) -> tuple[bool, dict[str, Any]]:
        document = Document(text=text)
        return isinstance(apply(document), Drop), document.signals

    return drops


def _c4(languages: set[str], rows: list[dict[str, Any]]) -> Callable[[str, str], bool | None]:
    patterns = {}
    for language in languages:
        words = "|".join(sorted(re.escape(row["word"].lower()) for row in rows if row["lang"] == language))
        patterns[language] = re.compile(words if language in _UNSPACED else rf"(?:\W|^)({words})(?:\W|$)")

    def drops(text: str, language: str) -> bool | None:
        return bool(patterns[language].search(text.lower())) if language in patterns else None

    return drops


def measured(texts: Iterable[dict[str, Any]], by: dict[str, Callable[[str, str], Any]]) -> list[Measured]:
    """Return every text with what the rules say of it."""
    found = []
    for row in texts:
        ours, signals = by["defaults"](row["text"], row["lang"])
        drops = {
            "defaults": ours,
            "any strong": by["any strong"](row["text"], row["lang"])[0],
            "C4": by["C4"](row["text"], row["lang"]),
        }
        found.append(Measured(row, drops, {name: signals[f"toxicity_{name}"] for name in ("severe", "strong", "mild")}))
    return found


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        yield from map(json.loads, lines)


def _language(row: dict[str, Any]) -> str:
    language = str(row.get("lang") or "en")
    return _NAMES.get(language, language)


def _scores(texts: list[Measured], rule: str) -> str:
    """Return precision, recall and false positive rate."""
    judged = [(text.drops[rule], text.row["label"]) for text in texts if text.drops[rule] is not None]
    if not judged:
        return "–"
    hits = sum(label for drop, label in judged if drop)
    dropped, hateful = sum(bool(drop) for drop, _ in judged), sum(label for _, label in judged)
    precision = f"{hits / dropped:.2f}" if dropped else "–"
    return f"{precision} / {hits / max(hateful, 1):.3f} / {(dropped - hits) / max(len(judged) - hateful, 1):.3f}"


def _share(texts: list[Measured], rule: str) -> str:
    judged = [text.drops[rule] for text in texts if text.drops[rule] is not None]
    return f"{sum(map(bool, judged)) / len(judged):.3f}" if judged else "–"


def labelled_tables(texts: list[Measured]) -> Iterator[str]:
    """Yield precision, recall and false positive rate by set and language, and the share dropped by kind of sentence."""
    yield "\n| set | texts | hateful | defaults: P / R / FPR | any strong or severe term | C4 with LDNOOBW |"
    yield "|---|---:|---:|---|---|---|"
    sets: dict[str, list[Measured]] = defaultdict(list)
    for text in texts:
        sets["all"].append(text)
        sets[f"{text.row['source']} {text.row['lang']}"].append(text)
    for name, some in sorted(sets.items()):
        hateful = sum(text.row["label"] for text in some) / len(some)
        yield f"| {name} | {len(some):,} | {hateful:.0%} | {' | '.join(_scores(some, rule) for rule in some[0].drops)} |"
    yield "\n| kind, share dropped | texts | hateful | defaults | any strong or severe term | C4 with LDNOOBW |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, pattern in _KINDS:
        some = [text for text in texts if re.match(pattern, text.row["group"])]
        hateful = sum(text.row["label"] for text in some) / max(len(some), 1)
        yield f"| {name} | {len(some):,} | {hateful:.0%} | {' | '.join(_share(some, rule) for rule in texts[0].drops)} |"


def clean_tables(name: str, texts: list[Measured]) -> Iterator[str]:
    """Yield what is dropped of clean texts by language, those with a list of C4 and those with any hit in full."""
    yield f"\n| {name} | texts | dropped | any strong or severe term | with severe | strong | mild | C4 with LDNOOBW |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    groups: dict[str, list[Measured]] = defaultdict(list)
    for text in texts:
        groups[text.row["lang"]].append(text)
    quiet = Counter[str]()
    for language, some in [("all", texts), *sorted(groups.items())]:
        hits = {level: sum(text.severity[level] > 0 for text in some) for level in ("severe", "strong", "mild")}
        if language != "all" and not any(hits.values()) and some[0].drops["C4"] is None:
            quiet[language] = len(some)
            continue
        counts = " | ".join(f"{count}" for count in hits.values())
        shares = [_share(some, rule) for rule in some[0].drops] if language != "all" else []
        shares = shares or [f"{sum(t.drops['defaults'] or False for t in some)}", "", ""]
        yield f"| {language} | {len(some):,} | {shares[0]} | {shares[1]} | {counts} | {shares[2]} |"
    if quiet:
        yield f"\nNo hit at all in {len(quiet)} more languages ({sum(quiet.values()):,} texts): {', '.join(quiet)}."


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--clean", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    by = rules([row for row in read(options.lists) if row["source"] == "LDNOOBW"])
    print("\n### Labelled sentences")
    print("\n".join(labelled_tables(measured(read(options.labelled), by))))
    print("\n### Clean text")
    for path in options.clean:
        rows = [
            {"text": row.get("text") or row.get("gold") or "", "lang": _language(row)}
            for row in read(path)
            if row.get("level", "document") == "document"
        ]
        texts = measured(rows, by)
        print("\n".join(clean_tables(path.name.partition(".")[0], texts)))
        medical = [t for t in texts if len(_MEDICAL.findall(t.row["text"])) >= _MEDICAL_ENOUGH]
        if medical:
            print("\n".join(clean_tables(f"{path.name.partition('.')[0]}: medical", medical)), flush=True)


if __name__ == "__main__":
    main()
