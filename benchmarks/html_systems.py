"""What is measured, in the order of the tables: our engines, as many as the installed version has, and the peers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from html_ours import FOLDS, engines

__all__ = ["ENVIRONMENTS", "PEERS", "System", "ours"]

_CLEAN = "lxml_html_clean"  # justext asks lxml for it under a name that lxml 6.1.3 does not know
ENVIRONMENTS = {
    "trafilatura": ["trafilatura==2.3.1", _CLEAN],
    "resiliparse": ["resiliparse==2.0.1"],
    "readability-lxml": ["readability-lxml==0.9", "html-text==0.7.1"],
    "magic-html": ["magic-html==0.1.8", "html-text==0.7.1"],  # needs Python 3.12
    "justext": ["justext==3.0.2", _CLEAN],
    "beautifulsoup4": ["beautifulsoup4==4.15.0", "lxml==6.1.3"],
    "html-text": ["html-text==0.7.1"],
}
"""What pip installs in the environment of each peer; each is called what the package is called whose version counts."""


@dataclass(frozen=True)
class System:
    """One row of a table: its name there, the environment it runs in ("" is that of this project), and what it is."""

    label: str
    environment: str
    variant: str

    @property
    def module(self) -> str:
        """The module that knows the variant."""
        return "html_peers" if self.environment else "html_ours"


PEERS = [
    System("trafilatura", "trafilatura", "trafilatura"),
    System("trafilatura, fast", "trafilatura", "trafilatura fast"),
    System("trafilatura, favor_precision", "trafilatura", "trafilatura precision"),
    System("resiliparse", "resiliparse", "resiliparse"),
    System("readability-lxml", "readability-lxml", "readability"),
    System("magic-html", "magic-html", "magic-html"),
    System("jusText, English", "justext", "justext"),
    System("jusText, no stop words", "justext", "justext no words"),
    System("resiliparse, all text", "resiliparse", "resiliparse all"),
    System("html-text", "html-text", "html-text"),
    System("BeautifulSoup with lxml, get_text", "beautifulsoup4", "bs4"),
]


def ours(fold_models: Path | None = None) -> list[System]:
    """Return the engines of the installed version, and the one of models that never saw a page's host if there are some."""
    systems = [System(f"corpusmill: {engine}", "", engine) for engine in engines()]
    if fold_models is not None:
        systems.append(System("corpusmill: fast, out of fold", "", f"{FOLDS}{fold_models.absolute()}"))
    return systems
