"""Language identification, and dropping of what is not wanted, not certain or not text at all.

py3langid is the default engine: on clean documents in the 54 languages that langdetect knows it was right in 99.9 %
of them (langdetect 99.6 %, fastText's lid.176.ftz 98.1 %) at four times langdetect's speed, its model ships with the
package, and it has a label for text in no language. langdetect stays for those who must reproduce a corpus made with
it.

Close relatives that no engine tells apart reliably (Bosnian, Croatian, Serbian; Indonesian, Malay; …) are scored
together: their probability is split at random between them, and a threshold on the larger half would drop good
documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, RecipeError, did_you_mean
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["FilterLanguage", "sample"]

NON_TEXT = "zxx"
"""ISO 639's code for content in no language."""
UNDETERMINED = "und"
"""ISO 639's code for text whose language is not known."""

_LABELS = {
    "py3langid": """
        ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi
        fo fr fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik
        kk km kn ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm
        pl ps pt qu ro ru rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs
        vec vi vo wa wuu xh yo yue zh zu zxx
    """,
    "langdetect": """
        af ar bg bn ca cs cy da de el en es et fa fi fr gu he hi hr hu id it ja kn ko lt lv mk ml mr ne nl no
        pa pl pt ro ru sk sl so sq sv sw ta te th tl tr uk ur vi zh
    """,
}
"""The codes that each engine can answer; a test compares them with the engines."""
_ALIASES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "jw": "jv", "cmn": "zh", "zh-cn": "zh", "zh-tw": "zh"}
_GROUPS = ("bs hr sr", "nn no", "id ms", "zh yue wuu", "ar ary arz", "el grc", "he hbo")
_GROUP_OF: dict[str, tuple[str, ...]] = {code: tuple(group.split()) for group in _GROUPS for code in group.split()}

# Without a single known feature every language is equally likely, 1 in 142. Three times that is still no answer.
_NO_ANSWER = 0.02
# Looked for in a sample only, and bounded, so that no text makes it slow.
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[^\s@]{1,64}@[^\s@]{1,255}")

Probabilities = Callable[[str], Mapping[str, float]]


def sample(text: str, maximum_characters: int) -> str:
    """Return *text*, or where it is longer equal pieces from its beginning, middle and end.

    A page often begins with a menu in another language than its article; a prefix alone would judge the menu.

    >>> sample("aaaa menu mmmm text zzzz", 12)
    'aaaa mmmm zzzz'
    """
    if len(text) <= maximum_characters:
        return text
    piece = max(maximum_characters // 3, 1)
    middle = (len(text) - piece) // 2
    return " ".join((text[:piece], text[middle : middle + piece], text[-piece:]))


class FilterLanguage(DocumentStage, frozen=True, kw_only=True):
    """Measure the language of each document; drop other languages, unclear cases and what is not text.

    `not_text`: no letters at all, or the engine's label for numbers, code and random strings (value: the score).
    `language`: the language is not among `keep`. `low_score`: the score is below the limit. `ref` is the language
    found.

    The signal `language` is the likeliest label, `zxx` for non-text and `und` where the engine has nothing to go by.
    `language_score` is the probability of that language *and its close relatives*; `second_language` and
    `second_language_score` are the same for the best of the others. Scores are rounded to four places, so that a
    threshold decides alike on every machine. The relatives are: bs hr sr · nn no · id ms · zh yue wuu · ar ary arz ·
    el grc · he hbo.
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"language", "low_score", "not_text"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "language": pa.string(),
        "language_score": pa.float32(),
        "second_language": pa.string(),
        "second_language_score": pa.float32(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1

    engine: Literal["py3langid", "langdetect"] = "py3langid"
    """`py3langid` knows 140 labels, `langdetect` 54. langdetect is slower and sure of itself even on gibberish."""
    keep: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages to keep; empty measures all and drops none for its language. A language that the
    engine does not know comes out as a neighbour, often with a high score: py3langid takes Tibetan for Dzongkha,
    Sindhi for Pashto, Wolof for Fula and Māori for Kikuyu."""
    strict_groups: bool = False
    """Keep only the very languages named: by default `hr` accepts bs and sr too, because engines confuse them."""
    minimum_score: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Score from which the answer counts. Where `keep` is empty, that of the two likeliest languages together: pages that are
    half translated are no noise, while code and mojibake reach 0.2 even so. For py3langid it is the probability over all
    labels, tempered by the length of the sample: of clean documents of 300 characters 99 % score above 0.86 and none
    below 0.57, menus about 0.5 and more, code and mojibake below 0.2; short sentences spread over the whole range, so
    collections of them want a lower limit. For langdetect it is the mean over its sampling rounds, nearly always above
    0.99, and high on gibberish too. Neither is fastText's probability: a threshold of FineWeb means something else."""
    minimum_scores: tuple[str, ...] = ()
    """Other limits for single languages, as `"de=0.7"`; the language is the one found."""
    maximum_characters: Annotated[int, Meta(ge=50, le=100_000)] = 900
    """How much of a document is looked at: a third each from its beginning, middle and end. On clean text 300 lose 1 in
    500 answers and 600 none; time grows with it, and almost nothing else in this stage takes any."""
    drop_non_text: bool = True
    """Drop what has no letters or what the engine takes for numbers, code or random strings; langdetect knows only the
    first kind. False leaves such documents to `keep` and the score."""

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = set(_LABELS[self.engine].split())
        relatives = {code for label in labels for code in _GROUP_OF.get(label, ())}
        known = labels if self.strict_groups else labels | relatives
        for setting, codes in (("keep", self.keep), ("minimum_scores", [code for code, _ in self._overrides()])):
            for code in codes:
                if _ALIASES.get(code, code) not in known:
                    raise RecipeError(
                        f"filter_language.{setting}: {self.engine} does not know the language {code!r}"
                        + did_you_mean(code, known)
                    )

    def _overrides(self) -> list[tuple[str, float]]:
        """Return the pairs of `minimum_scores`."""
        pairs = []
        for entry in self.minimum_scores:
            code, _, score = entry.partition("=")
            try:
                value = float(score)
            except ValueError:
                value = -1.0
            if not 0 <= value <= 1:
                raise RecipeError(f"filter_language.minimum_scores: expected 'de=0.7' with 0 to 1, got {entry!r}")
            pairs.append((code.strip(), value))
        return pairs

    def build(self) -> Apply:
        """Load the engine's model and return the function that measures and judges one document."""
        probabilities = _ENGINES[self.engine]()
        keep = {_ALIASES.get(code, code) for code in self.keep}
        if not self.strict_groups:
            keep |= {relative for code in keep for relative in _GROUP_OF.get(code, ())}
        limits = {_ALIASES.get(code, code): limit for code, limit in self._overrides()}

        def apply(document: Document) -> Document | Drop:
            language, score, second, second_score = _best_two(
                probabilities, sample(document.text, self.maximum_characters)
            )
            document.signals |= {
                "language": language,
                "language_score": score,
                "second_language": second,
                "second_language_score": second_score,
            }
            limit = limits.get(language, self.minimum_score)
            if language == NON_TEXT and self.drop_non_text:
                return Drop("not_text", score, None, language)
            if keep and language not in keep and language != UNDETERMINED:
                return Drop("language", score, None, language)
            # Where all languages are kept, a page in two of them is no doubtful one: only what fits neither is.
            certain = score if keep or language in limits else min(round(score + (second_score or 0.0), 4), 1.0)
            if certain < limit or (keep and language == UNDETERMINED):
                return Drop("low_score", certain, limit, language)
            return document

        return apply


def _best_two(probabilities: Probabilities, text: str) -> tuple[str, float, str | None, float | None]:
    """Return the likeliest language with its group's score, and the same for the best language outside that group."""
    text = _prepared(text)
    if not any(map(str.isalpha, text)):
        return NON_TEXT, 1.0, None, None
    found = probabilities(text)
    if max(found.values(), default=0.0) < _NO_ANSWER:
        return UNDETERMINED, 0.0, None, None
    groups: dict[tuple[str, ...], float] = {}
    for code, probability in found.items():
        group = _GROUP_OF.get(code, (code,))
        groups[group] = groups.get(group, 0.0) + probability
    # Ties fall to the first code in the alphabet, whatever order the engine answers in.
    ranked = sorted(groups, key=lambda group: (-groups[group], group))[:2]
    names = [min((code for code in group if code in found), key=lambda code: (-found[code], code)) for group in ranked]
    scores = [min(round(groups[group], 4), 1.0) for group in ranked]
    if len(ranked) == 1 or not scores[1]:
        return names[0], scores[0], None, None
    return names[0], scores[0], names[1], scores[1]


def _prepared(text: str) -> str:
    """Return *text* without web and mail addresses, and in lower case where it shouts: models learn from ordinary text.

    >>> _prepared("BITTE HIER KLICKEN: https://example.org/x")
    'bitte hier klicken:  '
    """
    text = _ADDRESS.sub(" ", text)
    return text.lower() if sum(map(str.isupper, text)) > sum(map(str.islower, text)) else text


def _py3langid() -> Probabilities:
    """Return py3langid's probabilities from an identifier of our own: anybody can restrict the shared one."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def probabilities(text: str) -> Mapping[str, float]:
        return dict(identifier.rank(text))

    return probabilities


def _langdetect() -> Probabilities:
    """Return langdetect's probabilities, the same in every process and whatever was asked before.

    Each detector draws from a generator of its own, seeded from its factory: the factory is ours, the seed 0, and the
    profiles are loaded in order of their names, where `load_profile` takes the order that the file system happens to
    list.
    """
    from langdetect import detector_factory
    from langdetect.lang_detect_exception import LangDetectException

    factory: Any = detector_factory.DetectorFactory()
    files = sorted(Path(detector_factory.PROFILES_DIRECTORY).iterdir(), key=lambda path: path.name)
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in files if _is_profile(path)])
    factory.set_seed(0)

    def probabilities(text: str) -> Mapping[str, float]:
        detector = factory.create()
        detector.append(text)
        try:
            ranked = detector.get_probabilities()
        except LangDetectException:
            return {}
        merged: dict[str, float] = {}
        for found in ranked:
            code = _ALIASES.get(found.lang, found.lang)
            merged[code] = merged.get(code, 0.0) + found.prob
        return merged

    return probabilities


def _is_profile(path: Path) -> bool:
    """Say whether *path* is one of langdetect's profiles and not a stray file beside them."""
    return path.is_file() and not path.name.startswith(".") and not path.suffix


_ENGINES: dict[str, Callable[[], Probabilities]] = {"py3langid": _py3langid, "langdetect": _langdetect}
