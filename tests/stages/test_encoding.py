"""The encoding of pages and files: labels, declarations, mislabelled and damaged bytes."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages import encoding, encoding_codecs, encoding_detect
from corpusmill.stages.encoding import decode_html, decode_text, encoding_name, find_declaration, utf8_length
from corpusmill.stages.encoding_codecs import MULTI_BYTE, decode_as

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


EDGES = [
    0x00,
    0x1B,
    0x24,
    0x41,
    0x7F,
    0x80,
    0x8F,
    0x90,
    0x9F,
    0xA0,
    0xBF,
    0xC0,
    0xC1,
    0xC2,
    0xDF,
    0xE0,
    0xED,
    0xEF,
    0xF0,
    0xF4,
    0xF5,
    0xFF,
]
PIECES = st.one_of(
    st.lists(st.sampled_from(EDGES), max_size=5).map(bytes),
    st.text(st.sampled_from("a\x7f\x80é\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"), max_size=9).map(
        str.encode
    ),
    st.integers(120, 136).map(lambda length: b"x" * length),
)


@settings(deadline=None)  # the kernel is loaded at the first call
@given(st.lists(PIECES, max_size=6).map(b"".join))
def test_the_length_of_utf8_is_that_of_the_text(data: bytes) -> None:
    """It is given for what Python takes for UTF-8, unless the page is read in another encoding all the same."""
    try:
        characters = len(data.decode())
    except UnicodeDecodeError:
        assert utf8_length(data) is None
        return
    text, name = decode_html(data)
    as_it_stands = name == "utf-8" and text == data.decode()
    assert utf8_length(data) == (characters if as_it_stands else None)


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


POLISH = "Młyn wodny stał nad rzeką od stu lat. Żółte łąki, ciężkie chmury i święta cisza; młynarz wciąż śpiewał. "
GREEK = "Ο παλιός μύλος γυρίζει πάλι. Άνοιξη ήρθε στο χωριό και ο μυλωνάς τραγουδά. "
RUSSIAN = "Старая мельница снова работает. Весной вода поднялась, и мельник запел. "
CHINESE = "老水车在春天又转起来了，磨坊主人唱着歌。河水上涨，村里的人都来看。"
JAPANESE = "古い水車は春にまた回り始めた。粉屋は歌い、村の人々は川へ見に来た。"


def page_of(text: str, head: str = "") -> str:
    return f"<html><head>{head}</head><body><p>{text * 3}</p></body></html>"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-u"),
        (GREEK, "cp1253", "windows-1253"),
        (POLISH, "cp1250", "windows-1250"),
        (POLISH, "iso-8859-2", "iso-8859-2"),
        (CHINESE, "gbk", "gb18030"),
        (KOREAN, "cp949", "euc-kr"),
        (JAPANESE, "cp932", "shift_jis"),
    ],
)
def test_a_servers_latin_label_on_other_text_is_passed_over(text: str, codec: str, name: str) -> None:
    page = page_of(text)
    assert decode_html(page.encode(codec), "iso-8859-1") == (page, name)
    label = {"koi8-u": "koi8-r"}.get(name, name)
    declared = page_of(text, f"<meta charset={label}>")
    assert decode_html(declared.encode(codec), "ISO-8859-1") == (declared, label)


def test_a_latin_label_on_latin_text_is_believed() -> None:
    text = "Là-bas, l’été, les «\xa0vieux\xa0» moulins tournaient… 20\xa0m² à 35\xa0€, Strasse 3½, naïve cœur. "
    page = page_of(text * 4)
    assert decode_html(page.encode("cp1252"), "iso-8859-1") == (page, "windows-1252")
    indented = page_of("\xa0\xa0\xa0\xa0Grüße aus Köln")
    assert decode_html(indented.encode("cp1252"), "iso-8859-1") == (indented, "windows-1252")


@pytest.mark.parametrize(
    ("text", "codec", "label", "name"),
    [
        (POLISH, "cp1250", "iso-8859-2", "windows-1250"),
        (POLISH, "iso-8859-2", "iso-8859-2", "iso-8859-2"),
        (GREEK, "cp1253", "iso-8859-7", "windows-1253"),
        (GREEK, "iso-8859-7", "iso-8859-7", "iso-8859-7"),
        ("Η μύτη του «λύκου» – δεν είναι εδώ. ", "cp1253", "iso-8859-7", "windows-1253"),
    ],
)
def test_windows_bytes_under_the_label_of_iso(text: str, codec: str, label: str, name: str) -> None:
    page = page_of(text)
    assert decode_html(page.encode(codec), label) == (page, name)


def test_one_curly_quote_of_1250_does_not_turn_a_page_of_8859_2() -> None:
    page = page_of(POLISH)
    data = page.encode("iso-8859-2").replace(b"<p>", b"<p>\x84")
    assert decode_html(data, "iso-8859-2") == (page.replace("<p>", "<p>\x84"), "iso-8859-2")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "The miller’s wife paid £20 for “new” sails — it wasn’t enough, she said, but they’d turn again in spring. ",
            "windows-1252",
        ),
        (
            "Save £1000 on the old water mill by the river, said the owner of the village shop this morning. ",
            "windows-1252",
        ),
        ("A vén malom tavasszal újra működik, a molnár énekel. Gyönyörű, zöld fű nő a folyó mellett. ", "iso-8859-2"),
        ("Vecās dzirnavas pavasarī atkal griežas, un dzirnavnieks dzied. Upē ir daudz ūdens. ", "windows-1257"),
        ("Eski değirmen ilkbaharda yeniden dönüyor ve değirmenci şarkı söylüyor. Irmakta çok su var. ", "windows-1254"),
        ("Le vieux moulin tourne à nouveau au printemps et le meunier chante près de la forêt. ", "windows-1252"),
    ],
)
def test_text_in_latin_letters_is_told_by_its_language(text: str, name: str) -> None:
    page = f"<html><body><p>{text}</p></body></html>"
    codec = "cp1250" if name == "iso-8859-2" else name
    # Hungarian is the very same bytes in both.
    assert decode_html(page.encode(codec)) == (page, name)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("กังหันน้ำเก่าหมุนอีกครั้งในฤดูใบไม้ผลิ และคนโม่แป้งร้องเพลง", "cp874", "windows-874"),
        ("عادت الطاحونة القديمة إلى العمل في الربيع وغنى الطحان", "cp1256", "windows-1256"),
        ("古い水車は春にまた回り始めた", "euc_jp", "euc-jp"),
        ("老水车又转起来了", "gbk", "gb18030"),
        ("오래된 물레방아", "cp949", "euc-kr"),
    ],
)
def test_short_texts_without_a_label(text: str, codec: str, name: str) -> None:
    page = f"<html><head><script>var a = 1;</script></head><body><p>{text}</p></body></html>"
    assert decode_html(page.encode(codec)) == (page, name)


@pytest.mark.parametrize("head", ["", "<meta charset=utf-8>", "<meta charset=iso-8859-1>"])
def test_utf8_with_more_broken_bytes_than_letters_stays_utf8(head: str) -> None:
    text = "<p>The miller’s wife paid £20.</p>" + "<p>She sang by the river.</p>" * 20
    data = page_of(head + text).encode() + "© l\xe9té".encode("cp1252") + b"<br>\xff"
    assert decode_html(data) == (data.decode("utf-8", "replace"), "utf-8")


@pytest.mark.parametrize(("text", "name", "codec"), SAMPLES)
def test_legacy_text_under_the_label_utf8_is_not_damaged_utf8(text: str, name: str, codec: str) -> None:
    page = page_of(text, "<meta charset=utf-8>")
    assert decode_html(page.encode(codec), "utf-8") == (page, name)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [(JAPANESE, "euc_jp", "euc-jp"), (CHINESE, "gbk", "gb18030"), (KOREAN, "cp949", "euc-kr")],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_one_broken_byte_does_not_hide_a_multi_byte_encoding(text: str, codec: str, name: str, labelled: bool) -> None:
    page = page_of(text * 4)
    data = page.encode(codec).replace(b"<p>", b"\xff<p>")
    assert decode_html(data, name if labelled else None) == (page.replace("<p>", "\ufffd<p>"), name)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("label", ["utf-16", "utf-16be", "utf-16le", None])
def test_the_order_of_utf16_is_seen_before_it_is_believed(order: str, label: str | None) -> None:
    page = page_of(CHINESE, "<meta charset=utf-16>")
    assert decode_html(page.encode(order), label) == (page, order.replace("16-", "16"))


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (b"\xa4\xa4\xa1\x45\xa4\xa4\xa3\xe1", "big5", "中‧中€"),
        (b"\xb0\xa1\x80\xb0\xa1", "gb18030", "啊€啊"),
        (b"\xa4\xa2\xa1\xc1\xa1\xdd\xad\xa1\xad\xea\xfc\xe2", "euc-jp", "あ～－①㈱髙"),
        (b'\x1b$B$"!A-!\x1b(B1', "iso-2022-jp", "あ～①1"),
        (b"\xe0\x98", "windows-1251", "а\x98"),
        (b"\x82\xa0\x87\x40", "shift_jis", "あ①"),
    ],
)
def test_characters_are_those_of_the_standard(data: bytes, name: str, text: str) -> None:
    assert decode_as(data, name) == text


def test_what_the_standard_leaves_undefined_is_broken() -> None:
    data = (GREEK * 4).encode("cp1253")
    assert decode_as(data + b"\xff", "windows-1253") == GREEK * 4 + "\ufffd"
    assert decode_as(b"\xff\xe1", "windows-1253") is None
    assert decode_as(JAPANESE.encode("cp932") + b"\xfd", "shift_jis") == JAPANESE + "\ufffd"
    assert decode_as(JAPANESE.encode("euc_jp") + b"\xa9\xfe\xa4", "euc-jp") is None
    assert decode_as(b"", None) is None


def test_a_page_cut_in_a_character_keeps_its_encoding() -> None:
    for text, codec, name in (
        (JAPANESE, "cp932", "shift_jis"),
        (CHINESE, "gbk", "gb18030"),
        (KOREAN, "cp949", "euc-kr"),
    ):
        assert decode_html(b"<p>" + text[:-1].encode(codec)[:-1]) == ("<p>" + text[:-2], name)


def test_text_far_into_a_file_is_seen_by_the_detectors() -> None:
    data = b"plain words " * 30_000 + RUSSIAN.encode("cp1251")
    assert decode_text(data) == (data.decode("cp1251"), "windows-1251")


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
