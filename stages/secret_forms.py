"""Secrets that programs use, known by a fixed prefix: keys of services, tokens, private keys.

A form is listed where its prefix and length are published, or seen alike in many scanners (detect-secrets, gitleaks,
TruffleHog, GitHub's list of secret scanning patterns), and where both together leave no doubt. Passwords, and keys that are
known only by the words around them (`api_key = …`), are not: in pages about programs most of those are examples. Neither are
prefixes of nothing but common letters (`dapi`, `ya29.`): to stop at every `p` and `y` costs the scan a third of its speed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["PRIVATE_KEY", "SECRET", "SECRET_FORMS", "SecretForm", "is_example"]

_TOKEN = "A-Za-z0-9_-"


class SecretForm(NamedTuple):
    """What a service's secrets look like."""

    service: str
    prefixes: tuple[str, ...]
    body: str
    """Pattern of what follows the prefix."""
    least: int
    """How many characters of `[A-Za-z0-9_.+/=-]` follow the prefix at least."""


SECRET_FORMS = (
    SecretForm("Adobe", ("p8e-",), "[A-Za-z0-9]{32}", 32),
    SecretForm("age", ("AGE-SECRET-KEY-1",), "[02-9AC-HJ-NP-Z]{58}", 58),
    SecretForm("Alibaba Cloud", ("LTAI",), "[A-Za-z0-9]{20}", 20),
    SecretForm("Amazon Web Services", ("AKIA", "ASIA"), "[A-Z2-7]{16}", 16),
    SecretForm("Anthropic", ("sk-ant-",), rf"(?:api|admin)\d\d-[{_TOKEN}]{{93}}AA", 100),
    SecretForm("Artifactory", ("AKCp",), "[A-Za-z0-9]{69}", 69),
    SecretForm("Atlassian", ("ATATT3",), rf"[={_TOKEN}]{{186}}", 186),
    SecretForm("DigitalOcean", ("dop_v1_", "doo_v1_", "dor_v1_"), "[0-9a-f]{64}", 64),
    SecretForm("Docker", ("dckr_pat_",), f"[{_TOKEN}]{{27}}", 27),
    SecretForm("Figma", ("figd_",), f"[{_TOKEN}]{{40}}", 40),
    SecretForm("GitHub", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "[A-Za-z0-9]{36}", 36),
    SecretForm("GitHub", ("github_pat_",), "[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", 82),
    SecretForm("GitLab", ("glpat-", "gldt-", "glrt-", "glsoat-", "glft-"), f"[{_TOKEN}]{{20,64}}", 20),
    SecretForm("GitLab", ("glptt-",), "[0-9a-f]{40}", 40),
    SecretForm("Google", ("AIza",), f"[{_TOKEN}]{{35}}", 35),
    SecretForm("Google", ("GOCSPX-",), f"[{_TOKEN}]{{28}}", 28),
    SecretForm("Grafana", ("glsa_",), "[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}", 41),
    SecretForm("Groq", ("gsk_",), "[A-Za-z0-9]{52}", 52),
    SecretForm("Heroku", ("HRKU-AA",), f"[{_TOKEN}]{{58}}", 58),
    SecretForm("Hugging Face", ("hf_",), "[A-Za-z]{34}", 34),
    SecretForm("Linear", ("lin_api_",), "[A-Za-z0-9]{40}", 40),
    SecretForm("Mailgun", ("key-",), "[0-9a-f]{32}", 32),
    SecretForm("New Relic", ("NRAK-",), "[A-Z0-9]{27}", 27),
    SecretForm("Notion", ("ntn_",), "[0-9]{11}[A-Za-z0-9]{35}", 46),
    SecretForm("npm", ("npm_",), "[A-Za-z0-9]{36}", 36),
    SecretForm("OpenAI", ("sk-",), "[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", 48),
    SecretForm(
        "OpenAI",
        ("sk-proj-", "sk-svcacct-", "sk-admin-"),
        f"(?:[{_TOKEN}]{{74}}|[{_TOKEN}]{{58}}|[{_TOKEN}]{{20}})T3BlbkFJ(?:[{_TOKEN}]{{74}}|[{_TOKEN}]{{58}}|[{_TOKEN}]{{20}})",
        48,
    ),
    SecretForm("Postman", ("PMAK-",), "[0-9a-f]{24}-[0-9a-f]{34}", 59),
    SecretForm("PyPI", ("pypi-AgEIcHlwaS5vcmc",), f"[{_TOKEN}]{{50,300}}", 50),
    SecretForm("Replicate", ("r8_",), "[A-Za-z0-9]{37}", 37),
    SecretForm("SendGrid", ("SG.",), rf"[{_TOKEN}]{{22}}\.[{_TOKEN}]{{43}}", 66),
    SecretForm("Shopify", ("shpat_", "shpca_", "shppa_", "shpss_"), "[0-9A-Fa-f]{32}", 32),
    SecretForm("Slack", ("xoxb-", "xoxp-", "xoxa-", "xoxo-", "xoxr-", "xoxs-"), "[0-9]{8,14}-[A-Za-z0-9-]{20,200}", 29),
    SecretForm("Slack", ("xapp-",), "[0-9]-[A-Z0-9]{8,14}-[0-9]{8,14}-[0-9a-f]{32,80}", 50),
    SecretForm("Square", ("sq0atp-",), f"[{_TOKEN}]{{22}}", 22),
    SecretForm("Square", ("sq0csp-",), f"[{_TOKEN}]{{43}}", 43),
    SecretForm("Stripe", ("sk_live_", "sk_test_", "rk_live_", "rk_test_"), "[A-Za-z0-9]{24,247}", 24),
    SecretForm("Stripe", ("whsec_",), "[A-Za-z0-9+/]{32,44}={0,2}", 32),
    SecretForm("Supabase", ("sbp_",), "[0-9a-f]{40}", 40),
    SecretForm("Twilio", ("SK",), "[0-9a-f]{32}", 32),
    # Three parts in base64url, the first two JSON objects (RFC 7519). The signature of the shortest algorithm has 43 characters.
    SecretForm(
        "JSON Web Token", ("eyJ",), rf"[{_TOKEN}]{{10,4000}}\.eyJ[{_TOKEN}]{{10,8000}}\.[{_TOKEN}]{{43,1400}}", 24
    ),
)

_BEFORE, _AFTER = f"(?<![{_TOKEN}])", f"(?![{_TOKEN}])"
_FORMS = "|".join(f"(?:{'|'.join(map(re.escape, form.prefixes))})(?:{form.body})" for form in SECRET_FORMS)
SECRET = re.compile(f"{_BEFORE}(?:{_FORMS}){_AFTER}", re.ASCII)
"""Any of the forms, standing alone: so it is tried once for each run of such characters, and takes time by its length."""

PRIVATE_KEY = re.compile(r"-----BEGIN ((?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?)-----")
"""The first line of a private key as text (RFC 7468 and PGP)."""

_FEWEST = 8  # different characters: of 16 random ones out of 16 or more, one in 4,000 has fewer
_EXAMPLE = re.compile("(?i)example|x{6}|0{8}|12345678|abcdefgh")


def is_example(secret: str) -> bool:
    """Return whether *secret* is filled up by hand, as manuals do.

    >>> is_example("AKIAIOSFODNN7EXAMPLE"), is_example("ghp_" + "x" * 36), is_example("AKIAQ3EGRVZ7KD5WMT2A")
    (True, True, False)
    """
    return len(set(secret[4:])) < _FEWEST or _EXAMPLE.search(secret) is not None
