"""Function words of 72 languages in Latin script, and the table in which kernels look them up."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["FUNCTION_WORDS", "FunctionWordTable", "function_word_table"]

# English is the list of Rae et al. 2021 and nothing else. The rest are common function words that English pages do not
# use as words or names, so that two of them cannot turn up by chance: no "die", "is", "la" or "no".
# `plausible_languages` keeps a list of its own, which asks something else: there words are compared, so one that neighbours share
# is evidence for each of them, and "die", "la" and "de" are in it.
FUNCTION_WORDS: Mapping[str, str] = {
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
"""Languages (those that share a list together) and their words."""


class FunctionWordTable(NamedTuple):
    """An open table: the languages of the word at place *i* are `languages[begins[i]:begins[i + 1]]`."""

    keys: npt.NDArray[np.uint64]
    """The bytes of the words, the first one lowest; 0 where there is none. No word has more than eight."""
    begins: npt.NDArray[np.int64]
    languages: npt.NDArray[np.int64]
    shift: int
    """The place of a word is its key times `FUNCTION_FACTOR`, without so many of its lowest bits."""


@functools.cache
def function_word_table() -> FunctionWordTable:
    """Return the table for the kernel `quality_scan.scan`."""
    from corpusmill.stages.kernels.quality_scan import FUNCTION_FACTOR

    languages_of: dict[str, list[int]] = {}
    for number, listed in enumerate(FUNCTION_WORDS.values()):
        for word in listed.split():
            languages_of.setdefault(word, []).append(number)
    bits = (2 * len(languages_of)).bit_length()
    entries: dict[int, tuple[int, list[int]]] = {}
    for word, languages in languages_of.items():
        key = int.from_bytes(word.encode(), "little")
        place = (key * int(FUNCTION_FACTOR) & (1 << 64) - 1) >> (64 - bits)
        while place in entries:
            place += 1
        entries[place] = key, languages
    # Looking up ends at an empty place, so there is one behind the last.
    places = max(1 << bits, max(entries) + 2)
    rows = [entries.get(place, (0, [])) for place in range(places)]
    table = FunctionWordTable(
        np.array([key for key, _ in rows], np.uint64),
        np.cumsum([0, *(len(languages) for _, languages in rows)], dtype=np.int64),
        np.array([number for _, languages in rows for number in languages], np.int64),
        64 - bits,
    )
    for array in table[:3]:
        array.flags.writeable = False
    return table
