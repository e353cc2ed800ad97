"""The engines that tell languages, behind one form: texts in, the two likeliest languages of each and their scores out.

py3langid is a model, walked over whole batches (`language_model`); langdetect and CLD2 are called text by text, with the same
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.stages.language_samples import prepared, sample, samples, text_at
from corpusmill.stages.text_buffers import TextBuffers

__all__ = [
    "ALIASES",
    "GROUP_OF",
    "LABELS",
    "NON_TEXT",
    "UNDETERMINED",
    "Engine",
    "Languages",
    "best_two",
    "engine_for",
    "names_of",
]

Engine = Literal["py3langid", "langdetect", "pycld2"]

NON_TEXT = "zxx"
"""ISO 639's code for content in no language."""
UNDETERMINED = "und"
"""ISO 639's code for text whose language is not known."""

LABELS: dict[str, tuple[str, ...]] = {
    engine: tuple(sorted(codes.split()))
    for engine, codes in {
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
        "pycld2": """
            aa ab af ak am ar as ay az ba be bg bh bi bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et
            eu fa fi fj fo fr fy ga gd gl gn gu gv ha haw he hi hmn hr ht hu hy ia id ie ig ik is it iu ja jv ka kha
            kk kl km kn ko ks ku ky la lb lg lif ln lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny
            oc om or pa pl ps pt qu rm rn ro ru rw sa sco sd sg si sk sl sm sn so sq sr ss st su sv sw syr ta te tg
            th ti tk tl tn to tr ts tt ug uk ur uz ve vi vo war wo xh yi yo za zh zu
        """,
    }.items()
}
"""The codes that each engine can answer; a test compares them with the engines."""
ALIASES = dict(
    pair.split("=")
    for pair in "nb=no iw=he in=id fil=tl jw=jv cmn=zh zh-cn=zh zh-tw=zh zh-Hant=zh sr-ME=sr".split()  # noqa: SIM905
)
"""Other names of languages, those of engines and those that people write."""
_GROUPS = ("bs hr sr", "nn no", "id ms", "zh yue wuu", "ar ary arz", "el grc", "he hbo")
GROUP_OF: dict[str, tuple[str, ...]] = {code: tuple(group.split()) for group in _GROUPS for code in group.split()}
"""Close relatives, by each of their codes."""

# Without a single known feature every language is equally likely, 1 in 142. Three times that is still no answer.
_NO_ANSWER = 0.02

Probabilities = Callable[[str], Mapping[str, float]]


class Languages(NamedTuple):
    """The likeliest language of each text and the best of another group, with the scores of their groups, to four places."""

    labels: npt.NDArray[np.int64]
    """Shape (texts, 2): numbers in `names_of` of the engine; -1 where there is no second one."""
    scores: npt.NDArray[np.float64]
    """Shape (texts, 2)."""


def names_of(engine: Engine) -> tuple[str, ...]:
    """Return all that an engine's texts are labelled with: its languages, and the two labels that every engine has."""
    return tuple(sorted({*LABELS[engine], NON_TEXT, UNDETERMINED}))


def engine_for(engine: Engine, maximum_characters: int) -> Callable[[TextBuffers], Languages]:
    """Load an engine and return the function that measures texts by samples of so many characters."""
    if engine == "py3langid":
        return _py3langid(maximum_characters)
    names = names_of(engine)
    probabilities = {"langdetect": _langdetect, "pycld2": _pycld2}[engine]()

    def measure(texts: TextBuffers) -> Languages:
        found = Languages(np.full((len(texts.starts), 2), -1), np.zeros((len(texts.starts), 2)))
        for row in range(len(texts.starts)):
            text = prepared(sample(text_at(texts, row), maximum_characters))
            for place, (label, score) in enumerate(best_two(probabilities, text)):
                found.labels[row, place], found.scores[row, place] = names.index(label), score
        return found

    return measure


def best_two(probabilities: Probabilities, text: str) -> list[tuple[str, float]]:
    """Return the likeliest language of *text* with its group's score, and the same of another group if one scores at all."""
    if not any(map(str.isalpha, text)):
        return [(NON_TEXT, 1.0)]
    found = probabilities(text)
    if max(found.values(), default=0.0) < _NO_ANSWER:
        return [(UNDETERMINED, 0.0)]
    groups: dict[tuple[str, ...], float] = {}
    for code, probability in found.items():
        group = GROUP_OF.get(code, (code,))
        groups[group] = groups.get(group, 0.0) + probability
    # Ties fall to the first code in the alphabet, whatever order the engine answers in.
    ranked = sorted(groups, key=lambda group: (-groups[group], group))[:2]
    names = [min((code for code in group if code in found), key=lambda code: (-found[code], code)) for group in ranked]
    scores = [min(round(groups[group], 4), 1.0) for group in ranked]
    return [(name, score) for name, score, place in zip(names, scores, range(2), strict=False) if score or not place]


def _py3langid(maximum_characters: int) -> Callable[[TextBuffers], Languages]:
    """Return py3langid's answers, those of `LanguageIdentifier.rank` with probabilities, by way of a kernel.

    Probabilities are computed from whole numbers and in double precision; py3langid sums float32 in whatever order its library
    of linear algebra takes, so its own differ in the fourth place now and then, and between machines.
    """
    from corpusmill.stages.kernels.language_sample import BY_PYTHON, NO_LETTERS
    from corpusmill.stages.language_model import language_model

    model, names = language_model(), names_of("py3langid")
    numbers = np.array([names.index(label) for label in model.labels])
    non_text, undetermined = names.index(NON_TEXT), names.index(UNDETERMINED)
    groups = sorted({GROUP_OF.get(label, (label,)) for label in model.labels})
    group_of = np.array([groups.index(GROUP_OF.get(label, (label,))) for label in model.labels])

    def ranked(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> Languages:
        labels, scores, likeliest = model.rank(data, bounds, group_of)
        labels = np.where(labels < 0, -1, numbers[labels])
        unknown = likeliest < _NO_ANSWER
        labels[unknown], scores[unknown] = (undetermined, -1), 0.0
        return Languages(labels, scores)

    def measure(texts: TextBuffers) -> Languages:
        found = Languages(np.empty((len(texts.starts), 2), np.int64), np.empty((len(texts.starts), 2)))
        for first, data, bounds, states in samples(texts, maximum_characters):
            labels, scores = ranked(data, bounds)
            rows = np.flatnonzero(states == BY_PYTHON)
            if len(rows):
                shown = [prepared(sample(text_at(texts, first + row), maximum_characters)).encode() for row in rows]
                ends = np.cumsum([0, *map(len, shown)], dtype=np.int64)
                labels[rows], scores[rows] = ranked(np.frombuffer(b"".join(shown), np.uint8).copy(), ends)
            silent = states == NO_LETTERS
            labels[silent], scores[silent] = (non_text, -1), (1.0, 0.0)
            found.labels[first : first + len(states)], found.scores[first : first + len(states)] = labels, scores
        return found

    return measure


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
        return _merged((found.lang, found.prob) for found in ranked)

    return probabilities


def _is_profile(path: Path) -> bool:
    """Say whether *path* is one of langdetect's profiles and not a stray file beside them."""
    return path.is_file() and not path.name.startswith(".") and not path.suffix


def _pycld2() -> Probabilities:
    """Return the shares of a text's bytes that CLD2 takes for each language, up to three.

    It refuses control characters and what is no character, which say nothing of a language; and it answers some scripts and
    jokes (`xx-Goth`, `tlh`), which are no languages here.
    """
    if find_spec("pycld2") is None:
        raise RecipeError("filter_language: engine pycld2 needs the extra: pip install 'corpusmill[pycld2]'")
    import pycld2

    languages = frozenset(LABELS["pycld2"])

    def probabilities(text: str) -> Mapping[str, float]:
        try:
            _, _, details = pycld2.detect(text, isPlainText=True, bestEffort=True)
        except pycld2.error:
            text = "".join(sign if sign.isprintable() else " " for sign in text)
            _, _, details = pycld2.detect(text, isPlainText=True, bestEffort=True)
        shares = _merged((code, percent / 100) for _, code, percent, _ in details)
        return {code: share for code, share in shares.items() if code in languages}

    return probabilities


def _merged(answers: Any) -> dict[str, float]:
    """Return probabilities by our codes."""
    merged: dict[str, float] = {}
    for code, probability in answers:
        code = ALIASES.get(code, code)
        merged[code] = merged.get(code, 0.0) + probability
    return merged
