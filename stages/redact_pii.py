"""Personal identifiers and secrets out of the text: found where they have a form, replaced by what the settings say.

What counts as one is in pii_finders.py, where they may be in pii_candidates.py. No string is made of a text without candidates,
19 of 20 pages: the stage ran at 3 MB/s when it tried its patterns at every character, and runs at 400.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages.base import Apply, DocumentStage, Guard
from corpusmill.stages.pii_candidates import find_candidates, have_candidates
from corpusmill.stages.pii_finders import (
    Span,
    cards_at,
    emails_at,
    find_cards,
    find_emails,
    find_ibans,
    find_ip_addresses,
    find_phones,
    find_secrets,
    ibans_at,
    ip_addresses_at,
    luhn,
    phones_at,
    secrets_at,
)
from corpusmill.stages.pseudonyms import Pseudonyms, read_key
from corpusmill.stages.text_buffers import TextBuffers

__all__ = [
    "RedactPii",
    "find_cards",
    "find_emails",
    "find_ibans",
    "find_ip_addresses",
    "find_phones",
    "find_secrets",
    "luhn",
]

Kind = Literal["email", "ip", "phone", "card", "iban", "secret"]
_ORDER: tuple[Kind, ...] = ("secret", "email", "iban", "card", "ip", "phone")
"""Of two kinds that claim the same characters from the same start, the earlier one has them."""
Find = Callable[[str], list[tuple[int, int, int]]]
"""The identifiers of a text: (start, kind as a place in `_ORDER`, end)."""


class RedactPii(DocumentStage, frozen=True, kw_only=True):
    """Replace personal identifiers and secrets of the asked `kinds`; every kind is counted, whether it is replaced or not.

    Secrets are keys and tokens of services that are known by prefix and length, JSON Web Tokens and private keys. Where two kinds
    claim the same characters, the one that starts first wins, then the order secret, email, iban, card, ip, phone. Not found:
    names, street addresses, identity numbers, passwords, and addresses written to be unreadable ("jane at example dot org").
    """

    version: ClassVar[int] = 2
    reasons: ClassVar[frozenset[str]] = frozenset({"too_much_pii"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "pii_email": pa.int32(),
        "pii_ip": pa.int32(),
        "pii_phone": pa.int32(),
        "pii_card": pa.int32(),
        "pii_iban": pa.int32(),
        "pii_secret": pa.int32(),
    }
    idle_signals: ClassVar[dict[str, int]] = dict.fromkeys(signals, 0)

    kinds: tuple[Kind, ...] = ("email", "ip", "phone", "card", "iban", "secret")
    """What is replaced. Risk: `phone` is the least certain kind (a form, no checksum); leave it out for texts full of
    part numbers."""
    replacement: Literal["placeholder", "pseudonym", "remove"] = "placeholder"
    """`placeholder` keeps the sentence whole, and nothing can be joined across documents. `pseudonym` puts made-up values there,
    the same for the same value in all documents, from ranges for examples (`user-…@example.org`, 192.0.2.0/24, 2001:db8::/32, +1
    … 555 01…): a text reads on, and who wrote twice is seen. Risk of `pseudonym`: what one person wrote can be gathered; 762 IPv4
    addresses are few. `remove` leaves nothing, and so sentences with a hole that a model learns."""
    placeholder: Annotated[str, Meta(max_length=100)] = "<{kind}>"
    """What stands in the text; `{kind}` becomes EMAIL, IP_ADDRESS, PHONE, CARD, IBAN or SECRET, and without it all kinds look
    alike. The default follows StarCoder's `<EMAIL>`, and can be made one special token. Risk: angle brackets look like a tag to a
    later HTML parser."""
    pseudonym_key_file: str | None = None
    """A file of at least 16 random bytes that pseudonyms are made with; its hash joins the fingerprint of a run, its bytes go
    nowhere. Risk of none: pseudonyms are the same everywhere, so who guesses a value can see whether it is the one."""
    private_addresses: bool = False
    """Replace private, local and reserved IP addresses too. They identify nobody, and tutorials are full of
    `192.168.0.1`."""
    maximum_per_document: Annotated[int, Meta(ge=0)] | None = None
    """Drop a document with more identifiers of `kinds` than this (`too_much_pii`); None never drops. Risk of low
    values: contact pages and mailing lists go, also where the text around is good."""

    @property
    def kernels(self) -> tuple[str, ...]:
        """The scan for candidates."""
        return ("identifiers",)

    def resources(self) -> tuple[str, ...]:
        """Return the file with the key, if there is one."""
        return (self.pseudonym_key_file,) if self.pseudonym_key_file else ()

    def guard(self) -> Guard:
        """Build the function that says which texts have a candidate."""

        def guard(texts: TextBuffers) -> npt.NDArray[np.bool_]:
            return have_candidates(texts, private=self.private_addresses)

        return guard

    def build(self) -> Apply:
        """Bind the finders and replacements."""
        find = _finder(private=self.private_addresses)
        replacements = {kind: self._replacement_for(kind) for kind in self.kinds}

        def apply(document: Document) -> Document | Drop:
            text = document.text
            counts = dict.fromkeys(_ORDER, 0)
            parts, done = [], 0
            for start, order, end in _disjoint(find(text)):
                kind = _ORDER[order]
                counts[kind] += 1
                if kind in replacements:
                    parts += [text[done:start], replacements[kind](text[start:end])]
                    done = end
            document.text = "".join([*parts, text[done:]])
            document.signals.update({f"pii_{kind}": count for kind, count in counts.items()})
            total = sum(counts[kind] for kind in replacements)
            if self.maximum_per_document is not None and total > self.maximum_per_document:
                return Drop("too_much_pii", total, self.maximum_per_document)
            return document

        return apply

    def _replacement_for(self, kind: Kind) -> Callable[[str], str]:
        """Return the function that says what replaces an identifier of *kind*."""
        if self.replacement == "pseudonym":
            pseudonyms = Pseudonyms(read_key(self.pseudonym_key_file) if self.pseudonym_key_file else b"")
            return lambda value: pseudonyms(kind, value)
        name = "IP_ADDRESS" if kind == "ip" else kind.upper()
        fixed = "" if self.replacement == "remove" else self.placeholder.replace("{kind}", name)
        return lambda _: fixed


def _finder(*, private: bool) -> Find:
    """Return the function that finds the identifiers of a text; those of *private* networks too if asked."""

    def find(text: str) -> list[tuple[int, int, int]]:
        found = find_candidates(text, private=private)
        spans: tuple[Iterable[Span], ...] = (
            secrets_at(text, found.secrets),
            emails_at(text, found.emails),
            ibans_at(text, found.ibans),
            cards_at(text, found.cards),
            ip_addresses_at(text, found, private=private),
            phones_at(text, found.phones, found.spoken_phones),
        )
        return [(start, order, end) for order, of_kind in enumerate(spans) for start, end in of_kind]

    return find


def _disjoint(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the (start, order, end) of *spans* that overlap none before them, in order."""
    chosen: list[tuple[int, int, int]] = []
    for span in sorted(spans):
        if not chosen or span[0] >= chosen[-1][2]:
            chosen.append(span)
    return chosen
