import resource
from pathlib import Path

import pytest

from delineate.data.formats.voc.xml import Object, read_xml
from delineate.values import InputError

BOX = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>6.0</xmax><ymax> 5 </ymax></bndbox>"
CAT = f"<object><name>cat</name>{BOX}</object>"


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        f"<annotation>{CAT}</annotation>",
        f"\n  <?xml version='1.0'?>\n<annotation>{CAT}</annotation>",
        f"\ufeff<annotation>{CAT}</annotation>",
        f"<annotation>{CAT}</annotation>".replace("object", "Object").replace("min", "Min").replace("name", "NAME"),
        f"<annotation xmlns='http://example.org'>{CAT}</annotation>",
        f"<v:annotation xmlns:v='urn:x'>{CAT}</v:annotation>".replace("</n", "</v:n").replace("<n", "<v:n"),
        f"<annotation><objects>{CAT}</objects></annotation>",
        f"<annotation><object>{CAT}</object></annotation>",
        f"<doc><annotation>{CAT}</annotation></doc>",
        f"<annotation><source><annotation>VOC2007</annotation></source>{CAT}</annotation>",
        f"<annotation><object><name>\n cat </name><shape>{BOX}</shape></object></annotation>",
        f"<annotation><object><name>cat</name><polygon><x1>1</x1></polygon>{BOX}</object></annotation>",
        f"<annotation>"
        f"<object><part><name>head</name>{BOX.replace('6', '9')}</part><name>cat</name>{BOX}</object></annotation>",
        f"<annotation><object><name>cat</name><difficult>Unspecified</difficult>{BOX}</object></annotation>",
        f"<annotation><!-- <object/> -->{CAT}</annotation>",
    ],
)
def test_objects_are_read_whatever_the_tags_around_them(tmp_path: Path, text: str) -> None:
    cat = Object("cat", (1.0, 2.0, 6.0, 5.0), difficult=False)
    assert read_xml(written(tmp_path / "a.xml", text)).objects == (cat,)


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("gb2312", "gb2312", "红细胞"),
        ("GB2312", "gbk", "鎔"),
        ("gbk", "gbk", "红细胞"),
        ("shift_jis", "cp932", "赤血球①"),
        ("EUC-KR", "cp949", "적혈구"),
        ("big5", "big5", "紅血球"),
        ("latin-1", "latin-1", "Straße"),
        ("iso-8859-1", "cp1252", "Straße – 5 €"),
        ("windows-1251", "cp1251", "клетка"),
        ("utf-16", "utf-16", "红细胞"),
        ("utf-16", "utf-16-le", "红细胞"),
        ("utf-16", "utf-8", "红细胞"),
        ("gb2312", "utf-8", "Zelle"),
        ("no-such-code", "utf-8", "红细胞"),
        ("utf-8", "utf-8-sig", "红细胞"),
    ],
)
def test_names_are_read_in_the_encoding_of_the_file(tmp_path: Path, declared: str, encoding: str, name: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?><annotation>{CAT.replace("cat", name)}</annotation>'
    (thing,) = read_xml(written(tmp_path / "a.xml", text, encoding)).objects
    assert thing.name == name


def test_bytes_of_no_encoding_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xml", f"<annotation>{CAT.replace('cat', '红细胞')}</annotation>", "gbk")
    with pytest.raises(InputError, match=r"a\.xml: its bytes are no UTF-8; save the file as UTF-8 or declare"):
        read_xml(path)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("<size><width>8</width><height>6</height></size>", (6, 8)),
        ("<Size><Width>8.0</Width><Height> 6 </Height></Size>", (6, 8)),
        ("<size><width>0</width><height>None</height></size>", (0, 0)),
        ("<size><width/></size>", (0, 0)),
        ("", (0, 0)),
        (f"<object><size><width>3</width></size><name>cat</name>{BOX}</object>", (0, 0)),
    ],
)
def test_the_size_is_read_where_it_says_something(tmp_path: Path, size: str, expected: tuple[int, int]) -> None:
    assert read_xml(written(tmp_path / "a.xml", f"<annotation>{size}{CAT}</annotation>")).size == expected


@pytest.mark.parametrize("text", ["<annotation/>", "<annotation><filename>a.jpg</filename></annotation>"])
def test_a_picture_may_have_no_objects(tmp_path: Path, text: str) -> None:
    assert read_xml(written(tmp_path / "a.xml", text)).objects == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html><body/></html>", "no <object> of Pascal VOC's is here, and there is body, html"),
        ("<annotation><item><label>cat</label></item></annotation>", "no <object> of Pascal VOC's"),
        (f"<annotation><filename>a</filename><thing>{BOX}</thing></annotation>", "no <object> of Pascal VOC's"),
        (f"<all><annotation>{CAT}</annotation><annotation>{CAT}</annotation></all>", "holds several annotations"),
        (f"<annotation>{CAT.replace('cat', ' ')}</annotation>", "object 1 has no name"),
        (f"<annotation>{CAT}<object><name>cow</name><robndbox/></object></annotation>", "object 2, cow: .* robndbox"),
        (f"<annotation><object><name>cow</name>{BOX}{BOX}</object></annotation>", "object 1, cow: has several bndbox"),
        (f"<annotation>{CAT.replace('6.0', 'nan')}</annotation>", "object 1, cat: xmax: 'nan' is not finite"),
        (f"<annotation>{CAT.replace('6.0', '')}</annotation>", "object 1, cat: xmax: None is no number"),
        (f"<annotation><size><width>wide</width></size>{CAT}</annotation>", "size: width: 'wide' is no number"),
        ("<annotation", "this is no well-formed XML"),
        ("", "this is no well-formed XML"),
    ],
)
def test_what_is_not_understood_is_refused_naming_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.xml: {message}"):
        read_xml(written(tmp_path / "a.xml", text))


def test_entities_that_stand_for_gigabytes_are_not_expanded(tmp_path: Path) -> None:
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    text = f"<!DOCTYPE annotation [<!ENTITY e0 'cat'>{entities}]><annotation><filename>&e11;</filename></annotation>"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(InputError, match=r"a\.xml: this XML defines entities"):
            read_xml(written(tmp_path / "a.xml", text, encoding))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
