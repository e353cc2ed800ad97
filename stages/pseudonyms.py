"""Made-up identifiers in place of real ones: the same for the same value, and nobody's.

All lie in ranges that are set aside for examples, so that no text names a person or a machine by chance. They keep no secret by
themselves: who knows that they were made without a key can try all phone numbers there are, and see which gives this one.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path

from corpusmill.schemas import RecipeError
from corpusmill.stages.pii_finders import luhn

__all__ = ["Pseudonyms", "read_key"]

_EXAMPLE_NETWORKS = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))  # RFC 5737
_HOSTS = 254
_EXAMPLE_NETWORK_V6 = int(ipaddress.IPv6Address("2001:db8::"))  # RFC 3849
_FREE_BITS_V6 = 96
_AREAS = [
    area for area in range(200, 1000) if area % 100 != 11 and area // 10 % 10 != 9
]  # numbers that the plan can give
_SHORTEST_KEY = 16  # bytes


def read_key(path: str) -> bytes:
    """Return the key in the file *path*.

    Raises:
        RecipeError: there is none, or it is too short to be no guess.

    """
    file = Path(path)
    if not file.is_file():
        raise RecipeError(f"redact_pii.pseudonym_key_file: there is no file {path!r}")
    content = file.read_bytes()
    if len(content) < _SHORTEST_KEY:
        raise RecipeError(
            f"redact_pii.pseudonym_key_file: {path!r} has {len(content)} bytes, and a key at least {_SHORTEST_KEY}; "
            "type: head -c 32 /dev/urandom > FILE"
        )
    return content


class Pseudonyms:
    """One pseudonym for each value of a kind, however it is written; another *key* gives others.

    >>> pseudonyms = Pseudonyms(b"any key")
    >>> pseudonyms("phone", "+44 20 7946-0958") == pseudonyms("phone", "0044 (20) 79460958")
    True
    """

    def __init__(self, key: bytes = b"") -> None:
        self._key = hashlib.blake2b(key).digest()
        self._makers = {
            "email": _email,
            "ip": _address_v4,
            "ipv6": _address_v6,
            "phone": _phone,
            "card": _card,
            "iban": _iban,
            "secret": _secret,
        }

    def __call__(self, kind: str, value: str) -> str:
        """Return what stands for *value*, which is an identifier of *kind*."""
        kind = "ipv6" if kind == "ip" and ":" in value else kind
        normal = _normal(kind, value).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(normal, key=self._key, person=kind.encode(), digest_size=32).digest()
        return self._makers[kind](int.from_bytes(digest, "big"))


def _normal(kind: str, value: str) -> str:
    """Return *value* in the one way of writing it that counts."""
    if kind == "phone":
        digits = "".join(str(int(c)) for c in re.split("x|ext", value)[0] if c.isdecimal())
        return digits.removeprefix("00")
    if kind in ("ip", "ipv6"):
        return ipaddress.ip_address(value).exploded
    compact = re.sub("[ -]", "", value) if kind in ("card", "iban") else value
    return compact if kind == "secret" else compact.lower()


def _email(number: int) -> str:
    return f"user-{number % 16**12:012x}@example.org"  # RFC 2606


def _address_v4(number: int) -> str:
    """Return one of the 762 addresses for examples: two of a thousand values share one more often than not."""
    network, host = divmod(number % (len(_EXAMPLE_NETWORKS) * _HOSTS), _HOSTS)
    return str(_EXAMPLE_NETWORKS[network][host + 1])


def _address_v6(number: int) -> str:
    return str(ipaddress.IPv6Address(_EXAMPLE_NETWORK_V6 | number % 2**_FREE_BITS_V6))


def _phone(number: int) -> str:
    """Return a number of North America with exchange 555 and line 0100 to 0199, which are for fiction."""
    area, line = divmod(number % (len(_AREAS) * 100), 100)
    return f"+1 {_AREAS[area]} 555 01{line:02}"


def _card(number: int) -> str:
    """Return sixteen digits with a right check digit and a first digit that no card scheme has."""
    digits = f"00000{number % 10**10:010}"
    digits += next(check for check in "0123456789" if luhn(digits + check))
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def _iban(number: int) -> str:
    """Return an account of ZZ, a code that ISO 3166 leaves to its users, with right check digits."""
    account = f"{number % 10**18:018}"
    return f"ZZ{98 - int(account + '353500') % 97:02}{account}"


def _secret(number: int) -> str:
    return f"secret-{number % 16**16:016x}"
