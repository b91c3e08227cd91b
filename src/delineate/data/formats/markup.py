"""XML files are parsed, whatever their capitals, namespaces and encoding."""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from delineate.values import InputError

WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "iso-8859-1": "cp1252"}
"""Files that declare the left encoding have characters of the right one, which contains it."""


def parsed(path: Path) -> Element:
    """Parse a file into elements of plain names in small letters; raises `InputError` naming it."""
    text = _decoded(path)
    if "<!ENTITY" in text:  # a few of them can stand for gigabytes
        raise InputError(f"{path}: this XML defines entities; write what they stand for in their place")
    try:
        root = ElementTree.fromstring(re.sub(r"^<\?xml.*?\?>", "", text.strip("\ufeff\0 \t\r\n"), flags=re.DOTALL))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: this is no well-formed XML ({error})") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    return root


def _decoded(path: Path) -> str:
    """Decode a file by its first bytes, by what it declares, or as UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {'there is no such file' if not path.exists() else error.strerror}") from None
    declared = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", data)
    named = declared.group(1).decode("ascii", "replace").lower() if declared else "utf-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        named = "utf-16"
    elif data[:2] in (b"<\0", b"\0<"):
        named = "utf-16-le" if data[1] == 0 else "utf-16-be"
    elif named.startswith(("utf-16", "utf-32", "ucs", "unicode")):
        named = "utf-8"  # the declaration could not have been read if it were true
    for encoding in (WIDER.get(named, named), named, "utf-8"):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    known = "no UTF-8" if named == "utf-8" else f"neither {named} nor UTF-8"
    raise InputError(f"{path}: its bytes are {known}; save the file as UTF-8 or declare its encoding")
