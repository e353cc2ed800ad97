"""Columns of the tables that the HTML kernels hand to each other: blocks, containers, pieces of text, marks, the page."""

from __future__ import annotations

__all__ = [
    "ATTRIBUTE_COLUMNS",
    "A_CONTENT",
    "A_HIDDEN",
    "A_HREF",
    "A_HREF_END",
    "A_JSON",
    "A_PROPERTY",
    "A_SIGNATURE",
    "BLOCK_COLUMNS",
    "BLOCK_STATE",
    "BODY_MARK",
    "BREAK",
    "B_BREAKS",
    "B_BYTES",
    "B_CHARACTERS",
    "B_CONTAINER",
    "B_DIGITS",
    "B_FIRST",
    "B_HASH",
    "B_LAST",
    "B_LINKED",
    "B_LINKS",
    "B_PIECE",
    "B_PIECES",
    "B_PUNCTUATION",
    "B_TITLE",
    "B_UPPER",
    "B_WIDE",
    "B_WORDS",
    "CODE",
    "CODE_END",
    "CONTAINER_COLUMNS",
    "C_BITS",
    "C_CATEGORIES",
    "C_DEPTH",
    "C_ITEMS",
    "C_OWN_CATEGORIES",
    "C_PARENT",
    "C_PATH",
    "C_SIGNATURE",
    "C_TAG",
    "D_NOSCRIPT",
    "D_OPEN_GRAPH",
    "D_SCHEMA",
    "D_SCRIPTS",
    "D_TIMES",
    "HTML_MARK",
    "JSON_MARK",
    "LINK",
    "LINK_END",
    "LINK_MARK",
    "MARK_COLUMNS",
    "META_MARK",
    "M_BEGIN",
    "M_END",
    "M_KIND",
    "PAGE_COLUMNS",
    "PIECE_COLUMNS",
    "P_BEGIN",
    "P_END",
    "P_KIND",
    "RAW_TEXT",
    "STATE_COLUMNS",
    "S_BLOCKS",
    "S_BREAKS",
    "S_BYTES",
    "S_CHARACTERS",
    "S_CLASS_WORDS",
    "S_CONTAINERS",
    "S_CURRENT",
    "S_DEPTH",
    "S_DIGITS",
    "S_ENDLESS_COMMENT",
    "S_ENDLESS_TAG",
    "S_FIRST",
    "S_HASH",
    "S_HREF",
    "S_HREF_END",
    "S_LAST",
    "S_LINK",
    "S_LINKED",
    "S_LINKS",
    "S_LINK_DEPTH",
    "S_LINK_NOTED",
    "S_MARKS",
    "S_PENDING",
    "S_PIECE",
    "S_PIECES",
    "S_PUNCTUATION",
    "S_TITLE_WORDS",
    "S_UPPER",
    "S_VERBATIM",
    "S_WIDE",
    "S_WORDS",
    "TEXT",
    "TIME_MARK",
    "TITLE_MARK",
    "VERBATIM",
    "WEIGHT_COLUMNS",
    "W_LEAST",
    "W_MOST",
    "W_PATH_LEAST",
    "W_PATH_MOST",
    "W_PATH_SUM",
    "W_SUM",
]

# Blocks: runs of text between two block-level boundaries. Counts are of characters after white space is collapsed.
(
    B_PIECE,  # the first of its pieces
    B_PIECES,  # the piece behind its last
    B_CONTAINER,
    B_CHARACTERS,
    B_LINKED,  # characters in links
    B_PUNCTUATION,
    B_WORDS,
    B_DIGITS,
    B_UPPER,
    B_WIDE,  # characters of three bytes in UTF-8 from U+3000 on: Chinese, Japanese, Korean
    B_LINKS,
    B_BREAKS,
    B_HASH,  # of its letters, digits and other characters in lower case
    B_FIRST,  # first byte
    B_LAST,  # class of what it ends with: a byte
    B_TITLE,  # percentage of its words that are in the title
    B_BYTES,
    BLOCK_COLUMNS,
) = range(18)

# Containers: block-level elements.
(
    C_PARENT,
    C_TAG,
    C_BITS,  # of the tags on its path
    C_CATEGORIES,  # of the class words on its path
    C_OWN_CATEGORIES,
    C_DEPTH,
    C_SIGNATURE,  # of its tag and class
    C_PATH,  # of the signatures on its path
    C_ITEMS,  # list items on its path
    CONTAINER_COLUMNS,
) = range(10)

# Sums, least and greatest of the learned weights of a container's class words, its own and those on its path.
W_SUM, W_LEAST, W_MOST, W_PATH_SUM, W_PATH_LEAST, W_PATH_MOST, WEIGHT_COLUMNS = range(7)

# Pieces of a block: stretches of the page, and what happens between them.
P_BEGIN, P_END, P_KIND, PIECE_COLUMNS = range(4)
TEXT, VERBATIM, RAW_TEXT, BREAK, LINK, LINK_END, CODE, CODE_END = range(8)

# The page.
D_OPEN_GRAPH, D_SCHEMA, D_TIMES, D_SCRIPTS, D_NOSCRIPT, PAGE_COLUMNS = range(6)

# Marks: places that are read for metadata; see page_metadata.py.
M_KIND, M_BEGIN, M_END, MARK_COLUMNS = range(4)
META_MARK, LINK_MARK, HTML_MARK, BODY_MARK, TITLE_MARK, JSON_MARK, TIME_MARK = range(7)

# State of the tokenizer. First what is known of the block that is being read, all 0 when it begins but for its hash …
(
    S_CHARACTERS,
    S_LINKED,
    S_PUNCTUATION,
    S_WORDS,
    S_DIGITS,
    S_UPPER,
    S_WIDE,
    S_LINKS,
    S_BREAKS,
    S_FIRST,
    S_LAST,
    S_PENDING,  # what is due before the next character: nothing, a space, a line break
    S_BYTES,
    S_LINK_NOTED,  # 1: a piece of the block says that a link is open
    S_HASH,
    BLOCK_STATE,
) = range(16)
# … then what is known of the page so far.
(
    S_PIECE,  # the first piece of the block
    S_PIECES,
    S_BLOCKS,
    S_CONTAINERS,
    S_MARKS,
    S_CURRENT,  # container
    S_DEPTH,  # place of it on the stack
    S_VERBATIM,  # open elements whose white space counts
    S_LINK,  # 1 within a link
    S_LINK_DEPTH,  # containers around the link: it cannot outlast them
    S_HREF,
    S_HREF_END,
    S_TITLE_WORDS,
    S_ENDLESS_COMMENT,  # from here on, no comment ends
    S_ENDLESS_TAG,  # from here on, quotes do not count: a tag ends at its first `>`
    S_CLASS_WORDS,
    STATE_COLUMNS,
) = range(BLOCK_STATE, BLOCK_STATE + 17)

# What the attributes of a tag say.
A_HIDDEN, A_JSON, A_PROPERTY, A_CONTENT, A_HREF, A_HREF_END, A_SIGNATURE, ATTRIBUTE_COLUMNS = range(8)
