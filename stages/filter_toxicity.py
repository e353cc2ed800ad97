"""Toxic terms: counted by severity and category, and documents dropped that hold too many of them for their length.

A list of words is the weakest detector of toxicity and the only one that costs nothing, so it is used for what it can do.
C4 dropped every page with one listed word; on clean news that rule, with the list it came with, removes 15 % of English and
19 % of Thai documents, and Dodge et al. 2021 found that it removes African American English and texts about minorities more
than others. Here one vulgar word never drops a document, one everyday swear word never counts towards dropping alone, and one
slur quoted in a long report stays. What is left is what lists are good at: pornographic and abusive pages.

The lexicon was written for this project: `data/toxicity_lexicon.jsonl`, one entry a line. A word of one language can be an
innocent word of another, so an entry applies where its language is plausible; evidence is only gathered for texts with a match.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, RecipeError, did_you_mean
from corpusmill.stages.base import Apply, DocumentStage
from corpusmill.stages.term_matcher import TermMatcher
from corpusmill.stages.text_units import words_of

__all__ = ["CATEGORIES", "WEIGHTS", "FilterToxicity", "LexiconEntry", "read_lexicon"]

CATEGORIES = ("slur", "sexual", "profanity", "violence", "harassment", "spam")
"""Categories of the default lexicon; `spam` is gambling. Terms of other categories count in the signal `toxicity_other`."""
WEIGHTS = {"mild": 0.25, "strong": 1.0, "severe": 3.0}
"""What a hit of each severity adds to the density."""
_RANK = {"severe": 0, "strong": 1, "mild": 2}


class LexiconEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a lexicon."""

    term: str
    """A word or phrase; a star at the end (or start) stands for any rest of the word."""
    language: str = ""
    """ISO 639-1 code; empty for terms that apply whatever the language."""
    category: str = "other"
    severity: Literal["mild", "strong", "severe", "allow"] = "strong"
    """`allow` marks an innocent word or phrase: terms inside it do not count."""
    applies: Literal["plausible", "everywhere", "certain"] = "plausible"
    """Where the term counts: where its language is plausible or the text too short to tell; in any text (a word like no
    innocent one elsewhere); or only where its language is certain (it is an innocent word of others)."""
    exceptions: tuple[str, ...] = ()
    """Innocent words or phrases that contain the term."""


class FilterToxicity(DocumentStage, frozen=True, kw_only=True):
    """Drop documents with too many toxic terms for their length, or with slurs that are not a passing quotation.

    Signals: hits by severity (`toxicity_mild`, `_strong`, `_severe`) and by category (`toxicity_slur`, …, `toxicity_other`), and
    `toxicity_density`, weighted hits per 1,000 words: a mild hit counts 0.25, a strong one 1, a severe one 3. Of overlapping
    matches the longest counts. `Drop.ref` is the category that weighed most; terms are never written anywhere.
    """

    rewrites: ClassVar[tuple[str, ...]] = ()
    reasons: ClassVar[frozenset[str]] = frozenset({"severe_terms", "toxic_density"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        **{f"toxicity_{name}": pa.int32() for name in ("severe", "strong", "mild", *CATEGORIES, "other")},
        "toxicity_density": pa.float32(),
    }
    version: ClassVar[int] = 1

    lexicons: tuple[str, ...] = ()
    """Your own files, added to the default lexicon; an entry for a term and language that are listed already replaces the
    earlier one. `.jsonl`: one object a line with the fields of `LexiconEntry`. `.tsv`: the same fields as columns, named in
    the first line, exceptions separated by `;`. Anything else: one term a line, `#` begins a comment; category other,
    severity strong."""
    use_default_lexicon: bool = True
    """False leaves only your own files."""
    languages: tuple[str, ...] = ()
    """Languages whose terms apply, in every text. Empty: all, each where its language is plausible from script and function
    words. Naming them switches that test off, and with it the protection of texts in other languages."""
    categories: tuple[str, ...] = ()
    """Categories that count; empty: all."""
    maximum_density: Annotated[float, Meta(ge=0)] | None = 25.0
    """Weighted hits per 1,000 words above which a document with at least one strong or severe hit goes (`toxic_density`); None
    switches the rule off. 25 is two vulgar words in 79 words, or 26 in 1,000: blunt fiction and most chat stay, pornography
    goes. Lower values remove dialects and reclaimed words first."""
    maximum_severe: Annotated[int, Meta(ge=0)] | None = 0
    """Severe hits above which a document goes (`severe_terms`) if they are dense as well; None switches the rule off."""
    minimum_severe_density: Annotated[float, Meta(ge=0)] = 5.0
    """Severe hits per 1,000 words from which `maximum_severe` is asked: one in 200 words, two in 400. It keeps a long
    report that quotes a slur. 0 drops for every single one."""
    shortest_length: Annotated[int, Meta(ge=1)] = 50
    """Words that a text is taken to have at least when densities are computed. Without it, one vulgar word in a message of
    ten words is a density of 100; with it, 20."""
    scores_only: bool = False
    """Measure, drop nothing."""

    def resources(self) -> tuple[str, ...]:
        """Return the paths of the user's lexicons."""
        return self.lexicons

    def entries(self) -> tuple[LexiconEntry, ...]:
        """Return the entries in force. Raises RecipeError for unreadable files and for languages or categories without any."""
        found: dict[tuple[str, str], LexiconEntry] = {}
        for path in ([_DEFAULT] if self.use_default_lexicon else []) + [Path(name) for name in self.lexicons]:
            found.update({(entry.term.casefold(), entry.language): entry for entry in read_lexicon(path)})
        _check("languages", self.languages, {entry.language for entry in found.values()} - {""})
        _check("categories", self.categories, {entry.category for entry in found.values()})
        return tuple(
            entry
            for entry in found.values()
            if entry.severity == "allow"
            or (
                (not self.languages or not entry.language or entry.language in self.languages)
                and (not self.categories or entry.category in self.categories)
            )
        )

    def spans(self, text: str) -> list[tuple[int, int, str, str]]:
        """Return start, end (code points of *text*), category and severity of each hit, in order, none overlapping."""
        return [(hit.start, hit.end, hit.entry.category, hit.entry.severity) for hit in _finder(self)(text)]

    def build(self) -> Apply:
        """Read the lexicons, build the automaton, and bind the thresholds."""
        find = _make_finder(self)

        def apply(document: Document) -> Document | Drop:
            hits = find(document.text)
            words = max(words_of(document.text).count if hits else 0.0, self.shortest_length)
            density = sum(WEIGHTS[hit.entry.severity] for hit in hits) * 1000 / words
            severity: Counter[str] = Counter(hit.entry.severity for hit in hits)
            category = Counter(hit.entry.category if hit.entry.category in CATEGORIES else "other" for hit in hits)
            for name in ("severe", "strong", "mild"):
                document.signals[f"toxicity_{name}"] = severity[name]
            for name in (*CATEGORIES, "other"):
                document.signals[f"toxicity_{name}"] = category[name]
            document.signals["toxicity_density"] = density
            drop = None if self.scores_only or not hits else self._judge(hits, severity, density, words)
            return drop or document

        return apply

    def _judge(self, hits: Sequence[_Hit], severity: Counter[str], density: float, words: float) -> Drop | None:
        severe = severity["severe"]
        dense = severe * 1000 / words >= self.minimum_severe_density
        if self.maximum_severe is not None and severe > self.maximum_severe and dense:
            worst = _heaviest(hit for hit in hits if hit.entry.severity == "severe")
            return Drop("severe_terms", float(severe), float(self.maximum_severe), worst)
        if self.maximum_density is not None and density > self.maximum_density and severe + severity["strong"]:
            return Drop("toxic_density", density, self.maximum_density, _heaviest(hits))
        return None


class _Hit(NamedTuple):
    start: int
    end: int
    entry: LexiconEntry


_Finder = Callable[[str], list[_Hit]]
_DEFAULT = Path(__file__).parent / "data" / "toxicity_lexicon.jsonl"


def read_lexicon(path: Path) -> list[LexiconEntry]:
    """Return the entries of a lexicon file in UTF-8; its suffix says what it is (see `FilterToxicity.lexicons`).

    Raises RecipeError with file and line if it cannot be read. The message never quotes the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"filter_toxicity.lexicons: cannot read {path}: {error.__class__.__name__}") from None
    columns = lines[0].rstrip("\r").split("\t") if path.suffix == ".tsv" else []
    entries = []
    for number, line in enumerate(lines[1:] if columns else lines, 2 if columns else 1):
        bare = line.strip()
        if not bare or (bare.startswith("#") and path.suffix != ".jsonl"):
            continue
        try:
            entry = _entry(line.rstrip("\r"), columns, path.suffix)
        except (msgspec.MsgspecError, ValueError) as error:
            raise RecipeError(f"filter_toxicity.lexicons: {path}, line {number}: {error}") from None
        entries.append(entry)
    return entries


def _entry(line: str, columns: Sequence[str], suffix: str) -> LexiconEntry:
    if suffix == ".jsonl":
        entry = msgspec.json.decode(line, type=LexiconEntry)
    elif suffix == ".tsv":
        cells = {name: cell.strip() for name, cell in zip(columns, line.split("\t"), strict=True) if cell.strip()}
        exceptions = [word.strip() for word in cells.pop("exceptions", "").split(";") if word.strip()]
        entry = msgspec.convert({**cells, "exceptions": exceptions}, LexiconEntry)
    else:
        entry = LexiconEntry(term=line.split("#")[0].strip())
    if not any(map(str.isalnum, entry.term)):
        raise ValueError("a term needs a letter or digit")
    return entry


def _check(setting: str, asked: Iterable[str], known: set[str]) -> None:
    for name in asked:
        if name not in known:
            raise RecipeError(f"filter_toxicity.{setting}: no terms for {name!r}{did_you_mean(name, known)}")


@lru_cache(maxsize=8)
def _finder(stage: FilterToxicity) -> _Finder:
    """Keep the automaton between calls of `spans`: settings are frozen and have no place for it."""
    return _make_finder(stage)


def _make_finder(stage: FilterToxicity) -> _Finder:
    """Return the function that finds the hits of one text: those that apply to it, the longest of overlapping ones."""
    entries = stage.entries()
    terms = [entry for entry in entries if entry.severity != "allow"]
    allowed = [entry.term for entry in entries if entry.severity == "allow"]
    allowed += [word for entry in terms for word in entry.exceptions]
    matcher = TermMatcher([entry.term for entry in terms], [entry.language for entry in terms], allowed)
    asked = bool(stage.languages)

    def find(text: str) -> list[_Hit]:
        matches = matcher.find(text)
        if not matches:
            return []
        hits = [_Hit(start, end, terms[term]) for start, end, term in matches]
        if not asked and any(hit.entry.language and hit.entry.applies != "everywhere" for hit in hits):
            evidence = _Evidence(text)
            hits = [hit for hit in hits if evidence.allows(hit.entry)]
        return _longest(hits)

    return find


def _longest(hits: list[_Hit]) -> list[_Hit]:
    """Return *hits* without overlaps: from left to right the longest, of equal ones the most severe."""
    hits.sort(key=lambda h: (h.start, -h.end, _RANK[h.entry.severity], h.entry.category, h.entry.language))
    chosen: list[_Hit] = []
    for hit in hits:
        if not chosen or hit.start >= chosen[-1].end:
            chosen.append(hit)
    return chosen


def _heaviest(hits: Iterable[_Hit]) -> str:
    """Return the category that weighs most; of equal ones the first by name."""
    weight: Counter[str] = Counter()
    for hit in hits:
        weight[hit.entry.category] += int(4 * WEIGHTS[hit.entry.severity])
    return min(weight, key=lambda name: (-weight[name], name))


class _Evidence:
    """What a text tells about its language at no cost: function words and scripts of its first 20,000 characters.

    >>> text = _Evidence("Das Rad der Mühle steht, und sie ist alt.")
    >>> text.plausible("de"), text.plausible("en"), text.certain("de")
    (True, False, True)
    """

    def __init__(self, text: str) -> None:
        head = text[:_LOOKED_AT]
        words = Counter(word.strip(_EDGES) for word in head.casefold().split())
        self.counts: Counter[str] = Counter()
        for word, languages in _LANGUAGES_OF.items():
            if times := words[word]:
                for language in languages:
                    self.counts[language] += times
        self.best = max(self.counts.values(), default=0)
        self.kana = len(_KANA.findall(head))
        self.han = len(_HAN.findall(head))

    def allows(self, entry: LexiconEntry) -> bool:
        """Return whether *entry* applies to the text."""
        if not entry.language or entry.applies == "everywhere":
            return True
        return self.certain(entry.language) if entry.applies == "certain" else self.plausible(entry.language)

    def plausible(self, language: str) -> bool:
        """Return whether the text may be in *language*: it has half as many of its function words as of any other's.

        True where the text has fewer than three of any, and for languages without a list.
        """
        if language == "ja":
            return self.kana * 20 >= self.han
        if language == "zh":
            return self.kana * 10 <= self.han
        return language not in _FUNCTION_WORDS or self.best < _ENOUGH or self.counts[language] * 2 >= self.best

    def certain(self, language: str) -> bool:
        """Return whether no other language has more function words in the text, and *language* has two at least."""
        if language not in _FUNCTION_WORDS:
            return self.plausible(language)
        return self.counts[language] >= max(2, self.best)


_LOOKED_AT = 20_000
_ENOUGH = 3
_EDGES = "\"'.,;:!?()[]{}«»“”„‘’…-–—*_/।،؟"
_KANA = re.compile("[\u3041-\u30fa]")
_HAN = re.compile("[\u3400-\u9fff]")
# The most frequent words of each language, shared ones included: evidence is a comparison, so a neighbour without a lexicon
# is listed too, else its texts would look like the nearest language that has one.
_FUNCTION_WORDS = {
    "en": "the of and to in is that for it was with on as are this have be you not they",
    "de": "der die und das nicht mit ist den von zu auf sich auch ein ich es im dem sie du wir",
    "nl": "de het een van en in is dat niet te op voor met zijn ook maar die ik je wat",
    "af": "die en het nie van in is wat vir dat te om met hy 'n sy",
    "fr": "le la les des et est une un dans que qui pour pas sur je il du en ce vous",
    "es": "el la los las de que y en un una por con no es se para lo su del más te",
    "ca": "el la els les de que i en un una per amb no és del al més les va",
    "gl": "o a os as de que e en un unha por con non é do da para ao máis",
    "it": "il la di che e un una per non è del con sono si i le da in della ti lo",
    "pt": "o a os as de que e em um uma por com não é do da para se no na você",
    "ro": "și de în la că nu este cu pe un o a care din mai se pentru",
    "pl": "i w na z nie się że do jest to o jak po co ale za od tym ty",
    "cs": "a v se na je že s z do o to jako ale za by i jsou",
    "sk": "a v sa na je že s z do o to ako ale za by aj sú",
    "hr": "i u je na da se su za od s što nije kao koji a ne",
    "sl": "in v je na da se za so z pa ki tudi ne bi s",
    "sv": "och att det i som är på en av för inte med den till jag har",
    "da": "og at det i er på en af for ikke med den til jeg har som",
    "no": "og at det i er på en av for ikke med den til jeg har som",
    "is": "og að í sem er á ekki við það til um var en",
    "fi": "ja on ei että oli se hän mutta kun myös ovat joka",
    "et": "ja on ei et ta oli see ka kui mis aga",
    "hu": "a az és hogy nem is egy van de ez meg volt",
    "lt": "ir kad yra į tai su bet iš kaip jis ne",
    "lv": "un ir ka ar no par tas bet kas uz ne",
    "sq": "të e në dhe i që për me një nga është",
    "tr": "ve bir bu için ile de da çok ne ama var daha gibi o mi",
    "az": "və bir bu üçün ilə da də çox olan ki",
    "uz": "va bu bilan uchun ham bir deb edi",
    "vi": "của và là các không có được một cho trong những đã với",
    "id": "yang dan di itu dengan untuk dari ini pada tidak ke akan",
    "tl": "ang ng sa mga na ay at ito si hindi",
    "sw": "ya na wa kwa katika ni za la kuwa hii",
    "so": "ee oo ayaa waa uu ah ka in iyo ku",
    "mi": "te ngā ki ka i o he kua mai me nei hoki",
    "sm": "o le i e ma ua lea le ai mo ona",
    "mg": "ny sy fa izany dia tamin amin izy ho ao",
    "ceb": "ang sa nga mga ug kay usa",
    "jv": "lan ing kang sing uga iki iku karo",
    "ms": "yang dan di itu dengan untuk telah ini tidak ke pada",
    "ht": "nan ak pou yo yon ki sa te li",
    "yo": "ní tí ti àwọn pé sí fún ó láti ni",
    "ig": "na ndị nke ya bụ ọ ka maka ihe nwere",
    "ha": "da na ya ba cikin wannan kuma ta sun yi",
    "zu": "ukuthi futhi kanye uma kodwa ngoba lapho kusho",
    "xh": "ukuba kunye kwaye kodwa ukuze kwi ngokuba xa",
    "sn": "kuti uye asi kana pa ne iyo kuva mu ku",
    "rw": "ko mu ku na kandi ariko iyo muri cyane",
    "st": "le ya go ba ka ho ke hore wa tse",
    "wo": "ak ci mu ñu moo te bi yi nit",
    "lb": "dat déi der fir op net ass mat vun si",
    "eu": "eta da ez bat du dute zuen izan ere",
    "cy": "y yn a i o ar yr ac bod mae",
    "ga": "an agus na a i ar go sé is ag",
    "mt": "li ta il u dan fil għal minn biex",
    "ru": "и в не на что с я он как это по но они к у ты из за то все был",
    "uk": "і в не на що з я він як це та у до за але й про був",
    "be": "і ў не на што з ён як гэта да па але за",
    "bg": "и в не на че с се да за от е по са това",
    "mk": "и во не на дека со се да за од е по го",
    "sr": "и у не на да је се за од су са као што",
    "kk": "және бұл мен да де бір үшін деп емес",
    "tg": "ва дар ба ки аз ин он бо",
    "ar": "في من على أن إلى التي هذا الذي ما لا عن أو كان مع يا",
    "fa": "و در به از که این است را با برای آن",
    "ur": "کے میں ہے کی سے اور کا کو نے پر",
    "ps": "د په چې او کې ته له دا",
    "hi": "के में है की और से को का पर ने यह कि हैं तू तुम",
    "mr": "आहे आणि या च्या व ते होते हे",
    "ne": "छ र को मा हो पनि गर्न भएको",
}
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, listed in _FUNCTION_WORDS.items() if word in listed.split())
    for word in sorted({word for listed in _FUNCTION_WORDS.values() for word in listed.split()})
}
