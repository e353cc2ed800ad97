"""The stages, by the names that recipes and programs use."""

from corpusmill.stages.base import CorpusStage, DocumentStage, Stage
from corpusmill.stages.convert_emoji import ConvertEmoji
from corpusmill.stages.correct_spelling import CorrectSpelling
from corpusmill.stages.decontaminate import Decontaminate
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.filter_language import FilterLanguage
from corpusmill.stages.filter_quality import FilterQuality
from corpusmill.stages.filter_toxicity import FilterToxicity
from corpusmill.stages.filter_url import FilterUrl
from corpusmill.stages.function import Function
from corpusmill.stages.normalize_text import NormalizeText
from corpusmill.stages.pack import Pack, training_pairs
from corpusmill.stages.redact_pii import RedactPii
from corpusmill.stages.registry import known_stages, stage_from
from corpusmill.stages.remove_repeated_lines import RemoveRepeatedLines
from corpusmill.stages.strip_html import StripHtml
from corpusmill.stages.tokenize import Tokenize

__all__ = [
    "ConvertEmoji",
    "CorpusStage",
    "CorrectSpelling",
    "Decontaminate",
    "Deduplicate",
    "DocumentStage",
    "FilterLanguage",
    "FilterQuality",
    "FilterToxicity",
    "FilterUrl",
    "Function",
    "NormalizeText",
    "Pack",
    "RedactPii",
    "RemoveRepeatedLines",
    "Stage",
    "StripHtml",
    "Tokenize",
    "known_stages",
    "stage_from",
    "training_pairs",
]
