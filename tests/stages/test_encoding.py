"""The encoding of pages and files: labels, declarations, mislabelled and damaged bytes."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.stages import encoding, encoding_codecs, encoding_detect
from corpusmill.stages.encoding import decode_html, decode_text, encoding_name, find_declaration
from corpusmill.stages.encoding_codecs import MULTI_BYTE

KOREAN = "대한민국의 수도는 서울이며 한강이 도시를 가로질러 흐른다. 오래된 물레방아가 봄에 다시 돌아간다. 똠방각하"
SAMPLES = [
    (KOREAN, "euc-kr", "cp949"),
    ("中华人民共和国的首都是北京，许多人居住在那里。今天天气很好，我们去公园散步吧。", "gb18030", "gb18030"),
    ("臺灣的首都是臺北，許多人住在那裡。今天天氣很好，我們去公園散步吧。", "big5", "big5hkscs"),
    ("日本の首都は東京です。多くの人々が住んでいます。①今日は天気がいいですね。", "shift_jis", "cp932"),
    ("日本の首都は東京です。多くの人々が住んでいます。今日は天気がいいですね。", "euc-jp", "euc_jp"),
    ("日本の首都は東京です。多くの人々が住んでいます。", "iso-2022-jp", "iso2022_jp"),
    ("Столица России — Москва. В ней живёт много людей. Сегодня хорошая погода.", "windows-1251", "cp1251"),
    ("Столиця України - Київ. У ній живе багато людей. Сьогодні гарна погода.", "koi8-u", "koi8-u"),
    ("Η πρωτεύουσα της Ελλάδας είναι η Αθήνα. Σήμερα ο καιρός είναι καλός.", "iso-8859-7", "iso-8859-7"),
    ("Stolicą Polski jest Warszawa. Żółta gęś. Dziś jest ładna pogoda.", "windows-1250", "cp1250"),
    ("בירת ישראל היא ירושלים. היום מזג האוויר יפה מאוד", "windows-1255", "cp1255"),
    ("La capitale est Paris. Là-bas il fait très chaud l’été – 35 €.", "windows-1252", "cp1252"),
]


@pytest.mark.parametrize(("text", "name", "codec"), SAMPLES)
def test_declared_undeclared_and_cut(text: str, name: str, codec: str) -> None:
    body = text.encode(codec)
    page = b"<html><body><p>" + body + b"</p></body></html>"
    whole = page.decode(codec)
    assert decode_html(page, name) == (whole, name)
    assert decode_html(b"<meta charset=" + name.encode() + b">" + page)[0].endswith(whole)
    assert decode_html(page) == (whole, name)
    assert decode_text(body * 3) == (text * 3, name)
    cut = decode_html(b"<p>" + body[:-1], name)
    assert cut[1] == name
    assert cut[0].startswith("<p>" + text[:-2])


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("ISO-8859-1", "windows-1252"),
        (" latin1\n", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("x-user-defined", "windows-1252"),
        ("GB2312", "gb18030"),
        ("gbk", "gb18030"),
        ("ks_c_5601-1987", "euc-kr"),
        ("windows-949", "euc-kr"),
        ("sjis", "shift_jis"),
        ("utf-16", "utf-16le"),
        ("UTF8", "utf-8"),
        ("iso-8859-9", "windows-1254"),
        ("tis-620", "windows-874"),
        ("base64", None),
        ("utf-7", None),
        ("", None),
        (None, None),
    ],
)
def test_labels(label: str | None, name: str | None) -> None:
    assert encoding_name(label) == name


def test_every_name_has_a_codec() -> None:
    read = {*encoding._NAMES.values(), *encoding._WRITTEN_AS.values(), *encoding_detect._DETECTED.values()}
    for name in read | encoding_detect._LATIN | encoding_detect._OTHERS | MULTI_BYTE:
        assert codecs.lookup(encoding_codecs._CODECS.get(name, name))
        assert encoding_name(name) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<meta charset=koi8-r>", "koi8-r"),
        (b"<META\nCHARSET = 'Big5' >", "big5"),
        (b'<meta charset="windows-1251"/>', "windows-1251"),
        (b'<meta content="text/html; charset=windows-1250" http-equiv=content-type>', "windows-1250"),
        (b'<meta name=x content="text/html; charset=windows-1250">', None),
        (b"<!-- <meta charset=big5> --><meta charset=gbk>", "gb18030"),
        (b"<!-- <meta charset=big5>", None),
        (b"<a title='<meta charset=big5>'><meta charset=gbk>", "gb18030"),
        (b"<meta charset=nonsense><meta charset=euc-jp>", "euc-jp"),
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<metadata charset=big5>", None),
        (b"</p charset=big5><!doctype html><meta charset=gbk>", "gb18030"),
        (b'<?xml version="1.0" encoding="windows-1251"?><html>', "windows-1251"),
        (b" <?xml version='1.0' encoding='windows-1251'?>", None),
        (b"<meta charset=", None),
    ],
)
def test_declarations(head: bytes, name: str | None) -> None:
    assert find_declaration(head) == name


def test_byte_order_marks_outrank_labels() -> None:
    assert decode_html("\ufeffé水".encode("utf-16-le"), "gbk") == ("é水", "utf-16le")
    assert decode_html("\ufeffé水".encode("utf-16-be"), "gbk") == ("é水", "utf-16be")
    assert decode_html("\ufeffé水".encode(), "gbk") == ("é水", "utf-8")


def test_utf16_without_a_mark() -> None:
    page = "<html><body><p>Мельница</p></body></html>"
    assert decode_html(page.encode("utf-16-le")) == (page, "utf-16le")
    assert decode_html(page.encode("utf-16-be"), "utf-16be") == (page, "utf-16be")
    assert decode_text("plain text".encode("utf-16-be")) == ("plain text", "utf-16be")


def test_the_transport_outranks_the_page() -> None:
    page = "<meta charset=iso-8859-1><p>Мельница".encode("cp1251")
    assert decode_html(page, "windows-1251") == ("<meta charset=iso-8859-1><p>Мельница", "windows-1251")


def test_utf8_under_a_wrong_label_is_utf8() -> None:
    for label in ("iso-8859-1", "windows-1251", "gbk", "euc-kr", "shift_jis"):
        assert decode_html("<p>Été à Zürich, 서울</p>".encode(), label) == ("<p>Été à Zürich, 서울</p>", "utf-8")


def test_a_label_whose_bytes_do_not_decode_is_passed_over() -> None:
    assert decode_html(KOREAN.encode("cp949"), "utf-8") == (KOREAN, "euc-kr")
    assert decode_html(SAMPLES[6][0].encode("cp1251") * 3, "shift_jis")[1] == "windows-1251"


def test_a_few_broken_bytes_do_not_turn_a_page_into_another_encoding() -> None:
    text = "Größe und Schönheit der Mühle überraschten alle Gäste. " * 5
    data = text.encode()
    broken = data[:60] + b"\xff" + data[60:]
    for declared in ("utf-8", None):
        decoded, name = decode_html(broken, declared)
        assert name == "utf-8"
        assert decoded.replace("\ufffd", "") == text
        assert decoded.count("\ufffd") == 1


def test_one_foreign_byte_in_a_page_declared_utf8_is_windows_1252() -> None:
    assert decode_html(b"<meta charset=utf-8><p>caf\xe9 in Lyon") == (
        "<meta charset=utf-8><p>café in Lyon",
        "windows-1252",
    )


def test_truncated_utf8_loses_the_last_character_only() -> None:
    assert decode_html("<p>물레방아".encode()[:-1]) == ("<p>물레방", "utf-8")
    assert decode_text(b"caf\xe9") == ("café", "windows-1252")


def test_undefined_bytes_of_windows_1252_become_controls() -> None:
    assert decode_text(b"\x81 caf\xe9 \x93quoted\x94") == ("\x81 café “quoted”", "windows-1252")


def test_a_late_declaration_is_found_before_the_detector_is_asked() -> None:
    page = b"<head>" + b"<!-- padding -->" * 200 + b"<meta charset=koi8-u><p>" + "Млин".encode("koi8-u") * 2
    assert decode_html(page)[1] == "koi8-u"


def test_empty() -> None:
    assert decode_html(b"") == ("", "utf-8")
    assert decode_text(b"") == ("", "utf-8")


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"<meta ", b"charset=", b"utf-16", b"<!--", b"-->", b"\xef\xbb\xbf", b"\xff\xfe", b"'", b">"])
    ).map(b"".join),
    st.none() | st.text(max_size=12) | st.sampled_from(["gbk", "utf-16", "iso-2022-jp", "utf-8"]),
)
def test_never_raises_and_gives_clean_text(data: bytes, declared: str | None) -> None:
    for text, name in (decode_html(data, declared), decode_text(data)):
        assert text.encode() is not None  # no lone surrogate
        assert encoding_name(name) == name
    find_declaration(data)


@pytest.mark.parametrize("unit", [b"<", b"<meta ", b"<a x='", b"<!--", b"\xff", b"\xc3", b"\x1b$", b"<?xml "])
def test_hostile_bytes_finish(unit: bytes) -> None:
    # Quadratic work on a megabyte would take minutes; speed itself is measured elsewhere.
    text, name = decode_html(unit * (1_000_000 // len(unit)))
    assert text
    assert name
