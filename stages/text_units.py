"""How a text falls apart into words, lines, paragraphs and sentences: in one place, so that all quality rules agree.

Words are runs of non-white space. A linguistic tokenizer was rejected: spaCy's English one runs at 0.6 MB/s a core
where `str.split` takes no time that shows, and no single tokenizer speaks every language of a crawl.

Scripts without spaces would make a whole sentence one word. There a word is a fixed number of characters: two in
Chinese and Japanese, five in Thai, Lao, Khmer, Burmese and Tibetan. Against the English words of the same translated
news sentences, Chinese has 1.6 characters to a word, Japanese 2.5, Thai and Lao 5.1, Khmer 6.3, Tibetan 6.8 and
Burmese 7.2. A count of words, not a segmentation, is all that the rules need.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "BULLETS",
    "EAST_ASIAN",
    "SOUTH_EAST_ASIAN",
    "TERMINAL_PUNCTUATION",
    "Words",
    "count_sentences",
    "function_words_found",
    "lines_of",
    "paragraphs_of",
    "words_of",
]

# Bopomofo, kana, Han with extensions, Yi: about two characters a word.
EAST_ASIAN = "\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
EAST_ASIAN += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Thai, Lao, Tibetan, Myanmar, Khmer, New Tai Lue, Tai Tham: letters and signs together, about five a word.
SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u0f40-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u1980-\u19df\u1a20-\u1a7f"
)
_CHARACTERS_PER_WORD = {"east": 2, "south_east": 5}

_UNSPACED = re.compile(f"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]")
_EAST = re.compile(f"[{EAST_ASIAN}]")
_PIECE = re.compile(rf"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]|[^\W_{EAST_ASIAN}{SOUTH_EAST_ASIAN}]+")

_EDGES = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»‹›“”„‟‘’‚‛–—―…·•¡¿§¶、。，．！？：；（）「」『』【】〈〉《》〔〕।॥؟،؛۔։።፣՝՞"
)
_VIRAMAS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"  # Devanagari to Sinhala
TERMINAL_PUNCTUATION = ".!?…\"'”’»」』。．！？｡।॥؟۔։።፧။។༎"
"""Last characters of a finished line: full stops, marks and closing quotes of the larger scripts."""
BULLETS = "•‣⁃◦▪▫■□●○◆◇▶►▸·∙–-*"
"""First characters of a list item."""

# One character before the end is looked at, not the whole run, so that a megabyte of dots stays linear.
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]]{0,3}(?=\s|$)|[。．！？｡।॥؟۔։።፧။។༎]")


@dataclass(slots=True)
class Words:
    """The words of one text, split once and measured by many rules.

    `units` are what n-grams are made of: the words without punctuation around them, or single characters where the
    script has no spaces; `per_word` is how many units of this text make a word (1, 2 or 5).
    """

    units: list[str] = field(default_factory=list)
    per_word: int = 1
    count: float = 0.0
    """Words with a letter or digit; characters of unspaced scripts are divided by the characters in a word."""
    tokens: float = 0.0
    """The words and, besides, the runs that are all punctuation or symbols."""
    alphabetic: float = 0.0
    """Words with at least one letter."""
    spaced: int = 0
    """Words of scripts that use spaces: those whose length means something."""
    spaced_characters: int = 0
    """Characters of those words, punctuation around them left out; a Hangul syllable is a block of letters and counts
    two."""
    latin: int = 0
    """Words that begin with a Latin letter."""
    vocabulary: set[str] = field(default_factory=set)
    """The distinct words that begin with a Latin letter."""

    @property
    def mean_length(self) -> float | None:
        """Characters per word; None where most of the text has no spaces between words."""
        return self.spaced_characters / self.spaced if self.spaced and self.spaced * 2 >= self.count else None


def words_of(text: str) -> Words:
    """Split *text* into words.

    >>> words_of("The mill, built in 1870 – it stands.").units
    ['The', 'mill', 'built', 'in', '1870', 'it', 'stands']
    >>> chinese = words_of("水车磨坊建于1870年，至今仍在。")
    >>> chinese.count, chinese.per_word, chinese.mean_length
    (6.5, 2, None)
    """
    tokens, east, south_east = _tokens(text)
    words = Words()
    stripped: dict[str, str] = {}
    spaced = characters = alphabetic = symbols = 0
    for token, times in Counter(tokens).items():
        if len(token) == 1 and _UNSPACED.match(token):
            stripped[token] = token
            continue
        word = token.strip(_EDGES)
        if word.isalpha() or any(map(str.isalpha, word)):
            alphabetic += times
            if word[0] < "\u0250" or "\u1e00" <= word[0] <= "\u1eff":
                words.latin += times
                words.vocabulary.add(word)
        elif not any(map(str.isalnum, word)):
            symbols += times
            continue
        stripped[token] = word
        spaced += times
        characters += times * (len(word) if word.isascii() else _length(word))
    words.spaced, words.spaced_characters = spaced, characters
    unspaced = east / _CHARACTERS_PER_WORD["east"] + south_east / _CHARACTERS_PER_WORD["south_east"]
    words.count = spaced + unspaced
    words.tokens = words.count + symbols
    words.alphabetic = alphabetic + unspaced
    if east + south_east > spaced:
        words.per_word = _CHARACTERS_PER_WORD["east" if east > south_east else "south_east"]
    words.units = [stripped[token] for token in tokens if token in stripped]
    return words


def _tokens(text: str) -> tuple[list[str], int, int]:
    """Return the runs of non-white space, unspaced scripts taken apart, and how many such characters there are."""
    chunks = text.split()
    if text.isascii() or not _UNSPACED.search(text):
        return chunks, 0, 0
    tokens: list[str] = []
    for chunk in chunks:
        if _UNSPACED.search(chunk):
            # Punctuation inside such a run is no token of its own: it has no spaces around it to make it one.
            tokens += _PIECE.findall(chunk)
        else:
            tokens.append(chunk)
    unspaced, east = len(_UNSPACED.findall(text)), len(_EAST.findall(text))
    return tokens, east, unspaced - east


def _length(word: str) -> int:
    """Return the characters of *word* as its readers would count them: signs that only join letters count nothing.

    >>> _length("മാധ്യമപ്രവർത്തകർ"), _length("물레방아")
    (13, 8)
    """
    length = len(word)
    if "\uac00" <= word[0] <= "\ud7a3":
        length += sum("\uac00" <= c <= "\ud7a3" for c in word)
    elif "\u0900" <= word[0] <= "\u0dff":
        length -= sum(c in _VIRAMAS for c in word)
    return length


def lines_of(text: str) -> list[str]:
    r"""Return the lines of *text* that are not blank, without white space around them.

    Blank lines are no lines: counted as such they were "duplicates" of each other and sank well-spaced documents
    (datatrove #273).

    >>> lines_of("one\n\n  two \r\n")
    ['one', 'two']
    """
    return [line for line in map(str.strip, text.splitlines()) if line]


def paragraphs_of(text: str) -> list[str]:
    r"""Return the groups of lines that blank lines separate.

    >>> paragraphs_of("one\ntwo\n\n \nthree")
    ['one\ntwo', 'three']
    """
    paragraphs: list[str] = []
    group: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line:
            group.append(line)
        elif group:
            paragraphs.append("\n".join(group))
            group = []
    return [*paragraphs, "\n".join(group)] if group else paragraphs


def count_sentences(lines: Sequence[str]) -> int:
    """Return the number of sentences: closed ones, and lines that end without closing theirs.

    Abbreviations count as ends; a rule that asks for five sentences can live with that.

    >>> count_sentences(["It rained. The mill stood still!", "Next page"])
    3
    """
    return sum(len(_SENTENCE_END.findall(line)) + (line[-1] not in TERMINAL_PUNCTUATION) for line in lines)


def function_words_found(vocabulary: Iterable[str]) -> int:
    """Return how many distinct function words of one language occur, for the language with the most of them.

    >>> function_words_found(words_of("Das Rad der Mühle steht, und sie ist alt.").vocabulary)
    4
    """
    found: dict[str, set[str]] = {}
    for word in vocabulary:
        lowered = word.lower()
        for language in _LANGUAGES_OF.get(lowered, ()):
            found.setdefault(language, set()).add(lowered)
    return max(map(len, found.values()), default=0)


# English is the list of Rae et al. 2021 and nothing else. The rest are common function words that English pages do not
# use as words or names, so that two of them cannot turn up by chance: no "die", "is", "la" or "no".
_FUNCTION_WORDS = {
    "en": "the be to of and that have with",
    "af": "het nie en wat vir aan om deur maar ook hulle",
    "az": "və ilə üçün bu olan kimi daha bir amma çox",
    "br": "ar ez eo gant evit ha hag zo",
    "bs hr sr": "je da se su za što koji nije kao od bio ali",
    "ca": "els amb per una és que del les més però als",
    "ceb": "ang sa nga mga ug kay usa",
    "cs": "se že je na jako ale pro byl jsou který od",
    "cy": "yr yn ac bod oedd wedi gan mae hynny fel",
    "da": "og det er ikke til af som han den på med blev",
    "de": "der und das nicht mit ist den von zu auf sich auch ein",
    "eo": "kaj estas ke por kun sed ne li ĝi",
    "es": "que los las una por del con para más pero como el en",
    "et": "ja et ei see oli kui ka aga mis kes ning",
    "eu": "eta da ez bat dute zuen hori ere baina izan",
    "fi": "ja että oli hän ei mutta myös kun ovat sekä se joka tai jos kuin niin",
    "fo": "og tað er ikki at hann við til sum",
    "fr": "les des est une dans qui sur pour pas avec et le du",
    "fy": "de it en fan dat net foar wie mei",
    "ga": "agus na bhí ar go sé leis atá raibh ach",
    "gd": "agus an na bha gu tha air gun",
    "gl": "que unha non os para máis dos pero como foi polo",
    "ha": "da na ya ba cikin wannan kuma ta sun yi",
    "ht": "nan ak pou yo yon ki sa te",
    "hu": "az és hogy nem egy volt meg csak de ezt",
    "id": "yang dan itu dengan untuk dari ini pada tidak akan",
    "ig": "na ndị nke ya bụ ọ ka maka ihe nwere",
    "is": "og að sem ekki við það fyrir til er hann",
    "it": "di che il è per della sono più anche nel gli una",
    "jv": "lan ing kang sing uga iki iku karo",
    "ku": "û ku li ji jî bi ev ew ne lê",
    "la": "et est non ad cum ut quod sed qui",
    "lb": "dat déi der fir op net ass mat vun si gouf",
    "lg": "ku mu nti nga era oba nnyo",
    "ln": "na ya ba oyo te mpo ete",
    "lt": "ir kad yra buvo tai su bet iš kaip jis",
    "lv": "un ka bija par tas bet ar kas viņš kā",
    "mg": "ny sy fa izany dia tamin amin izy ho ao",
    "mi": "te ki nga ngā ka kua ko he mai hoki",
    "ms": "yang dan itu dengan untuk telah ini tidak beliau kepada",
    "mt": "li ta dan għal kien minn biex iżda kienet fuq",
    "nl": "het een van niet ook maar naar wordt zijn dat voor met en",
    "nn": "og det ikkje er som på med ein til han av",
    "no": "og det ikke er som på med til av en har",
    "nso st tn": "le ya go ba ka gore ho ke hore wa",
    "oc": "que lo los amb una per es dins",
    "om": "fi kan akka irraa hin ni isaa",
    "pl": "się nie że jest na do ale jak od przez oraz",
    "pt": "que não uma para com os dos mais foi ao como por",
    "qu": "mana kay chay hina kan ima",
    "ro": "și în că nu este cu pentru care din mai de",
    "rw": "ko mu ku na kandi ariko iyo muri cyane aho",
    "sk": "sa na že je ako ale bol ktorý pre od aj",
    "sl": "je da se na bi za pa so ki tudi kot",
    "sn": "kuti uye asi kana pa ne iyo kuva kubva zvakare iyi izvi ari vari nokuti chete",
    "so": "ee oo ayaa waa uu ah ka iyo laakiin",
    "sq": "të në dhe që për një nga është më nuk",
    "sv": "och det att är som inte på med av för ett till",
    "sw": "ya na wa kwa katika ni za kuwa hii lakini",
    "tk": "we bu bilen üçin hem bir diýip boldy ol",
    "tl": "ang ng mga sa na ay ito ni siya",
    "tr": "ve bir bu için ile olarak daha çok olan gibi",
    "uz": "va bu bilan uchun ham bir deb edi u",
    "vi": "của và là các không được những với cho trong",
    "wo": "ak ci mu ñu moo te bi yi nit",
    "xh": "ukuba kunye kwaye kodwa ukuze kwi ngokuba xa okanye emva ngoku kakhulu nangona lo le kuba apho into bonke",
    "yo": "ní tí ti àti àwọn pé sí fún ó láti ni náà bí kan lọ gbogbo wọ́n ati awọn",
    "zu": "ukuthi futhi kanye uma kodwa ngoba lapho kusho noma emva ngemva lokhu kakhulu lo le",
}
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, listed in _FUNCTION_WORDS.items() if word in listed.split())
    for listed in _FUNCTION_WORDS.values()
    for word in listed.split()
}
