"""Names and columns of the numbers by which the model knows a block; `html_features.py` computes them in this order."""

from __future__ import annotations

from itertools import accumulate

from corpusmill.stages.kernels.html_tags import CATEGORIES, FEATURED

__all__ = [
    "AROUND",
    "CONTAINERS",
    "FEATURES",
    "LEVELS",
    "NAMES",
    "NEIGHBOURS",
    "PAGE",
    "PATH",
    "PLACE",
    "SCHEMAS",
    "TEMPLATE_LEVELS",
]

LEVELS, TEMPLATE_LEVELS, NEIGHBOURS = 5, 3, 3
"""How many containers, templates and neighbours on either side are described."""
SCHEMAS = 8

_GROUPS: dict[str, list[str]] = {
    "text": [
        *(
            "length",
            "linked",
            "punctuation",
            "punctuation_share",
            "words",
            "word_length",
            "digits",
            "upper",
            "wide",
            "ending",
        ),
        *("beginning", "links", "breaks", "in_title", "copies", "heading", "short_text_weight", "declared"),
    ],
    "place": [
        *("before_share", "index_share", "index", "left", "depth", "list_items", "since_headline", "after_headline"),
        *("good_since_headline", "after_comments", "articles_before"),
    ],
    "path": [
        *("kind", "parent_kind", "grandparent_kind"),
        *(f"bit_{number}" for number in range(FEATURED + 1)),
        *(f"class_{words[0]}" for words in CATEGORIES),
        *("own_negative", "own_positive", "levels_to_negative", "levels_to_positive"),
        *("weight_sum", "weight_least", "weight_most", "weight_path_sum", "weight_path_least", "weight_path_most"),
        *("parent_weight_sum", "grandparent_weight_sum"),
    ],
    "containers": [
        f"container_{level}_{what}"
        for level in range(LEVELS)
        for what in ("length", "linked", "paragraphs", "page_share", "per_block", "punctuation")
    ],
    "templates": [
        f"template_{level}_{what}" for level in range(TEMPLATE_LEVELS) for what in ("copies", "length", "linked")
    ],
    "neighbours": [
        *(
            f"{side}_{distance}_{what}"
            for distance in range(1, NEIGHBOURS + 1)
            for side in ("before", "behind")
            for what in ("length", "linked", "punctuation")
        ),
        *("before_kind", "behind_kind", "before_sibling", "behind_sibling", "before_template", "behind_template"),
        *("good_within_4", "good_within_10", "good_before"),
    ],
    "page": [
        *("page_length", "page_linked", "page_good", "page_blocks", "page_articles", "open_graph", "page_headlines"),
        *(
            "page_paragraphs",
            "page_lists",
            "page_tables",
            "page_code",
            "page_hidden",
            "page_comments",
            "longest_paragraph",
        ),
        *("page_copies", "page_scripts", "page_times", "page_declared"),
        *(f"schema_{number}" for number in range(SCHEMAS)),
    ],
}
NAMES = [name for names in _GROUPS.values() for name in names]
FEATURES = len(NAMES)
_TEXT, PLACE, PATH, CONTAINERS, _TEMPLATES, AROUND, PAGE = accumulate(
    (len(names) for names in list(_GROUPS.values())[:-1]), initial=0
)
"""Where each group begins. Templates stand right behind containers, text is first."""
