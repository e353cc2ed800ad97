r"""How a byte-level BPE cuts text into words before it merges anything: the published patterns, in one table.

A pattern decides what can never be one token. GPT-2's keeps all digits of a number together, those of cl100k (GPT-4) and o200k
(GPT-4o) take three at a time, Qwen2's one; o200k's begins a new word at a capital, and keeps marks with their letters, which
Indic scripts need. Each is written as the `tokenizer.json` of its models has it, because fast engines know patterns by their text
(tokenizer_engines.py).

Left out: Qwen2's normalizer (NFC). It is no part of how text is split, and ids would no longer give back the text.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

__all__ = ["PRE_TOKENIZERS", "PreTokenizerName", "PreTokenizerStyle"]

PreTokenizerName = Literal["gpt2", "cl100k", "llama3", "qwen2", "o200k"]

_SUFFIXES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WHITE = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


class PreTokenizerStyle(NamedTuple):
    """What is published of a family of tokenizers about words."""

    pattern: str
    ignore_merges: bool = False
    """Whether a word that is an entry of the vocabulary is that token, whatever its merges would come to."""
    built_in: bool = False
    """Whether `ByteLevel` splits by the pattern itself."""

    def build(self) -> Any:
        """Return the pre-tokenizer for `tokenizers`."""
        from tokenizers import Regex, pre_tokenizers

        if self.built_in:
            return pre_tokenizers.ByteLevel(add_prefix_space=False)
        split = pre_tokenizers.Split(Regex(self.pattern), "isolated")
        return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _letters(digits: str) -> str:
    """Return the pattern of cl100k and of those that followed it but for *digits*."""
    return rf"{_SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_WHITE}"


PRE_TOKENIZERS: dict[PreTokenizerName, PreTokenizerStyle] = {
    "gpt2": PreTokenizerStyle(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", built_in=True
    ),
    "cl100k": PreTokenizerStyle(_letters(r"\p{N}{1,3}")),
    "llama3": PreTokenizerStyle(_letters(r"\p{N}{1,3}"), ignore_merges=True),
    "qwen2": PreTokenizerStyle(_letters(r"\p{N}")),
    "o200k": PreTokenizerStyle(
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_SUFFIXES}?|"
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_SUFFIXES}?|"
        rf"\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_WHITE}"
    ),
}
"""By name; the pattern of each is that of Radford et al. 2019, of `tiktoken`, or of the released Llama 3 and Qwen2."""
