"""Drop documents by their address, before anything expensive looks at them.

Rules follow RefinedWeb (Penedo et al. 2023, appendix G.1): a list of blocked hosts, words of which one is enough, and words
of which it takes several. Words match whole tokens of the host and the path, never parts of them: matching parts drops
essex.ac.uk, analytics and Scunthorpe, and costs whole regions of the web. Query strings are not searched, because they hold
what visitors typed. The lists that ship are short and our own; big ones, such as the category files of the UT1 blacklist
of the University of Toulouse, are read from `block_files`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import unquote

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["BLOCKED_WORDS", "SOFT_WORDS", "FilterUrl", "split_url"]

_STRONG = """
blowjob bukkake camgirl camgirls casinobonus casinoonline creampie cumshot escortgirls gangbang hentai hotsex keygen keygens
livesex milf milfs nudecams onlinecasino onlinecasinos porn porno pornhub pornos pornstar pornstars redtube sexcam sexcams
sexchat sextube serialz warez xhamster xnxx xvideos xxx xxxvideos youporn 포르노 порно ポルノ
"""
_SOFT = """
adult anal babes baccarat bet betting bookmaker casino casinos cialis crack cracked cracks dildo erotic erotica escort
escorts fetish fuck gambling hardcore jackpot lesbian levitra nude nudes nudity poker pussy roulette serial serials sex sexe
sexy slot slots torrent torrents viagra webcam xx казино секс
"""
BLOCKED_WORDS: Final = tuple(_STRONG.split())
"""Words with no common innocent use in an address."""
SOFT_WORDS: Final = tuple(_SOFT.split())
"""Words that also name health pages, news, sports and card games: several of them must meet."""


class FilterUrl(DocumentStage, frozen=True, kw_only=True):
    """Drop documents whose `url` is on a blocked host or is made of blocked words. Documents without a URL pass.

    `Drop.ref` is the entry that was hit. Signal `url_soft_words`: distinct soft words in the address; null without URL.
    """

    reads: ClassVar[tuple[str, ...]] = ("url",)
    rewrites: ClassVar[tuple[str, ...]] = ()
    reasons: ClassVar[frozenset[str]] = frozenset({"blocked_host", "blocked_word", "not_allowed", "soft_words"})
    signals: ClassVar[dict[str, pa.DataType]] = {"url_soft_words": pa.int64()}

    blocked_hosts: tuple[str, ...] = ()
    """Hosts to drop, each with its subdomains; an entry with a path (`example.org/ads`) drops what begins with it."""
    allowed_hosts: tuple[str, ...] = ()
    """If not empty, only these hosts (or prefixes) and their subdomains are kept; blocked ones are still dropped."""
    blocked_words: tuple[str, ...] = BLOCKED_WORDS
    """Words of which one drops the document (`blocked_word`). A word that is also a surname or a place drops that too."""
    soft_words: tuple[str, ...] = SOFT_WORDS
    """Words of which `soft_word_limit` different ones drop the document (`soft_words`)."""
    soft_word_limit: Annotated[int, Meta(ge=1)] = 2
    """Different soft words that are too many. At 1, sex education, poker news and security advisories go."""
    block_files: tuple[str, ...] = ()
    """Files of more `blocked_hosts`: a host or URL prefix a line, `#` starts a comment. A UT1 category is its two files
    `domains` and `urls`. The contents of the files are part of a run's fingerprint."""

    def resources(self) -> tuple[str, ...]:
        """Return the block files."""
        return self.block_files

    def build(self) -> Apply:
        """Read the lists and return the function that is applied to each document."""
        blocked = _prefixes((*self.blocked_hosts, *_entries(self.block_files)))
        allowed = _prefixes(self.allowed_hosts)
        hard = frozenset(word.casefold() for word in self.blocked_words)
        soft = frozenset(word.casefold() for word in self.soft_words)

        def apply(document: Document) -> Document | Drop:
            if not document.url or not document.url.strip():
                return document
            host, path = split_url(document.url)
            words = list(dict.fromkeys(_tokens(host, path)))
            softs = [word for word in words if word in soft]
            document.signals["url_soft_words"] = len(softs)
            entry = _match(blocked, host, path)
            if entry is not None:
                return Drop("blocked_host", ref=entry)
            if allowed and _match(allowed, host, path) is None:
                return Drop("not_allowed", ref=host[:_MAXIMUM_HOST])
            strong = next((word for word in words if word in hard), None)
            if strong is not None:
                return Drop("blocked_word", ref=strong)
            if len(softs) >= self.soft_word_limit:
                return Drop("soft_words", value=len(softs), limit=self.soft_word_limit, ref=" ".join(softs))
            return document

        return apply


_MAXIMUM_URL: Final = 4096
_MAXIMUM_HOST: Final = 253
_SCHEME: Final = re.compile(r"(?:[a-z][a-z0-9+.-]{0,31}:)?//+", re.IGNORECASE)
_HOST_END: Final = re.compile(r"[/?#]")
_PORT: Final = re.compile(r":\d*$")
_WORD: Final = re.compile(r"[^\W_]+")
_COMMENT: Final = re.compile(r"(?:^|\s)#")
_DOTS: Final = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})


def split_url(url: str) -> tuple[str, str]:
    """Return host and path of *url* as they are compared: the host in Unicode, folded, without user, port and last dot.

    Query and fragment are left out. Never raises; what is no URL gives a host that no list holds.

    >>> split_url("https://me:pw@WWW.Xn--Mnchen-3ya.DE.:8080/Bier%20Garten?q=1")
    ('www.münchen.de', '/Bier Garten')
    """
    url = url[:_MAXIMUM_URL].strip().replace("\\", "/")
    found = _SCHEME.match(url)
    rest = url[found.end() :] if found else url
    end = _HOST_END.search(rest)
    at = end.start() if end else len(rest)
    host = rest[:at].rpartition("@")[2]
    path = re.split(r"[?#]", rest[at:], maxsplit=1)[0]
    return _host(host), unquote(path, errors="replace")


def _host(host: str) -> str:
    """Return a host name folded to the one form in which names are compared."""
    host = unquote(_PORT.sub("", host), errors="replace").translate(_DOTS).strip().strip(".")
    if host.isascii() and "xn--" not in host.casefold():
        return host.casefold()
    host = unicodedata.normalize("NFKC", ".".join(map(_label, host.split(".")))).casefold()
    return host.encode("utf-8", "replace").decode()


def _label(label: str) -> str:
    """Return a label of a host name in Unicode. Punycode that is broken stays as it is."""
    if len(label) > 63 or label[:4].casefold() != "xn--":
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, IndexError, OverflowError, ValueError):
        return label


def _tokens(host: str, path: str) -> Iterator[str]:
    """Yield the words of an address, folded: runs of letters and digits."""
    for found in _WORD.finditer(f"{host} {path}"):
        yield found[0].casefold()


_Prefixes = dict[str, tuple[str, ...]]
"""Host -> the paths under it that are listed; "" lists the whole host."""


def _prefixes(entries: Iterable[str]) -> _Prefixes:
    """Return a lookup table of hosts and URL prefixes."""
    table: dict[str, list[str]] = {}
    for entry in entries:
        host, path = split_url(entry.removeprefix("*."))
        if not host:
            raise RecipeError(f"filter_url: {entry!r} names no host; write it as example.org or example.org/path")
        table.setdefault(host, []).append(path.rstrip("/"))
    return {host: tuple(sorted(set(paths))) for host, paths in table.items()}


def _match(table: _Prefixes, host: str, path: str) -> str | None:
    """Return the entry of *table* that covers an address: its host or a parent domain, and a prefix of its path."""
    while table and host:
        for prefix in table.get(host, ()):
            if not prefix or path == prefix or path.startswith(prefix + "/"):
                return host + prefix
        host = host.partition(".")[2]
    return None


def _entries(files: tuple[str, ...]) -> Iterator[str]:
    """Yield the entries of block files; a line that names no host is none."""
    for name in files:
        try:
            lines = Path(name).read_text(encoding="utf-8-sig", errors="replace").split("\n")
        except OSError as error:
            raise RecipeError(f"filter_url.block_files: cannot read {name!r}: {error.strerror or error}") from None
        for line in lines:
            entry = _COMMENT.split(line, maxsplit=1)[0].strip()
            if split_url(entry)[0]:
                yield entry
