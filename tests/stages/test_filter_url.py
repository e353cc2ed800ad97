"""Addresses: folding, list files, words, and what must never be dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.filter_url import BLOCKED_WORDS, SOFT_WORDS, FilterUrl, split_url


def verdict(url: str | None, **settings: Any) -> Drop | None:
    result = FilterUrl(**settings).build()(Document(url=url, text="text"))
    return result if isinstance(result, Drop) else None


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://Example.ORG/A/b?q#f", ("example.org", "/A/b")),
        ("http://user:pass@example.org:8080/", ("example.org", "/")),
        ("http://example.org.", ("example.org", "")),
        ("//example.org/x", ("example.org", "/x")),
        ("example.org/x", ("example.org", "/x")),
        ("http:\\\\example.org\\x", ("example.org", "/x")),
        ("http://xn--mhle-0ra.example/", ("mühle.example", "/")),
        ("http://MÜHLE.example/", ("mühle.example", "/")),
        ("http://ｅｘａｍｐｌｅ。org/", ("example.org", "/")),
        ("http://%65xample.org/%7Ea", ("example.org", "/~a")),
        ("http://[::1]:80/x", ("[::1]", "/x")),
        ("http://xn--99999999999/", ("xn--99999999999", "/")),
        ("", ("", "")),
    ],
)
def test_split_url(url: str, parts: tuple[str, str]) -> None:
    assert split_url(url) == parts


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["http://", "xn--", "@", ":", "[", "]", "%", "%ff", ".", "。", "a"])).map("".join)
)
def test_bad_addresses_do_not_raise(url: str) -> None:
    host, path = split_url(url)
    assert (host + path).encode() is not None  # no lone surrogate
    FilterUrl(allowed_hosts=("example.org",)).build()(Document(url=url))


@pytest.mark.parametrize(
    "url", ["http://" + "a." * 500_000, "http://a/" + "%41-" * 300_000, "@" * 1_000_000, "http://a/" + "sex-" * 300_000]
)
def test_endless_addresses_finish(url: str) -> None:
    document = Document(url=url)
    FilterUrl().build()(document)
    assert document.signals["url_soft_words"] in (0, 1)


def test_the_entry_that_was_hit_is_named() -> None:
    assert verdict("https://a.bad.example/x", blocked_hosts=("bad.example",)) == Drop("blocked_host", ref="bad.example")
    assert verdict("https://h.example/ads/x", blocked_hosts=("h.example/ads",)) == Drop(
        "blocked_host", ref="h.example/ads"
    )
    assert verdict("https://h.example/xxx") == Drop("blocked_word", ref="xxx")
    assert verdict("https://h.example/sexy/babes/nude") == Drop("soft_words", value=3, limit=2, ref="sexy babes nude")
    assert verdict("https://h.example/", allowed_hosts=("g.example",)) == Drop("not_allowed", ref="h.example")


def test_signals_do_not_depend_on_settings() -> None:
    every: list[dict[str, Any]] = [
        {},
        {"soft_word_limit": 9},
        {"blocked_hosts": ("h.example",)},
        {"allowed_hosts": ("g.example",)},
    ]
    for settings in every:
        document = Document(url="https://h.example/sexy-poker")
        FilterUrl(**settings).build()(document)
        assert document.signals == {"url_soft_words": 2}


def test_block_files(tmp_path: Path) -> None:
    hosts = tmp_path / "domains"
    hosts.write_bytes("\ufeff# a comment\nbad.example\r\n\n 10.0.0.1 # an address\nmühle.example\n/no-host\n".encode())
    urls = tmp_path / "urls"
    urls.write_text("host.example/ads\nhttps://other.example/~me/#x\n", "utf-8")
    stage = FilterUrl(block_files=(str(hosts), str(urls)))
    assert stage.resources() == (str(hosts), str(urls))
    apply = stage.build()
    refs = [
        result.ref if isinstance(result := apply(Document(url=url)), Drop) else None
        for url in (
            "http://www.bad.example/",
            "http://10.0.0.1:81/x",
            "http://xn--mhle-0ra.example",
            "http://host.example/ads/9",
            "http://host.example/",
            "http://other.example/~me/photos",
            "http://other.example/~you",
        )
    ]
    assert refs == ["bad.example", "10.0.0.1", "mühle.example", "host.example/ads", None, "other.example/~me", None]


def test_unreadable_lists_and_entries_are_recipe_errors(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        FilterUrl(block_files=(str(tmp_path / "missing"),)).build()
    with pytest.raises(RecipeError, match="names no host"):
        FilterUrl(blocked_hosts=("/path",)).build()
    with pytest.raises(RecipeError, match="soft_word_limit"):
        FilterUrl(soft_word_limit=0)


def test_the_word_lists_are_folded_whole_tokens_without_overlap() -> None:
    for words in (BLOCKED_WORDS, SOFT_WORDS):
        assert len(set(words)) == len(words)
        assert all(word == word.casefold() and word.isalnum() for word in words)
    assert not set(BLOCKED_WORDS) & set(SOFT_WORDS)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.essex.ac.uk/research/analytics",
        "https://www.sussex.example/middlesex/wessex",
        "https://www.scunthorpe.example/dickens/cockburn",
        "https://www.therapist.example/mass-assessment",
        "https://www.expertsexchange.example/penisland",
        "https://news.example.org/2024/casino-fire-kills-two",
        "https://docs.example.org/webcam-drivers.html",
        "https://www.example.org/same-sex-marriage",
        "https://cs.example.edu/torrent-protocol",
        None,
        "",
    ],
)
def test_innocent_addresses_pass(url: str | None) -> None:
    assert verdict(url) is None
