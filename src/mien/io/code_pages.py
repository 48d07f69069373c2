"""Find out in which code page the names of a zip archive are."""

import contextlib
import unicodedata
import zipfile
from collections.abc import Sequence

#: Code pages in which systems write names without saying so, and the letters that such names are in. By the standard it
#: is the first. Of several that fit, the first counts.
STANDARD_CODE_PAGE = "cp437"
_CODE_PAGES = (STANDARD_CODE_PAGE, "cp850", "cp1252", "shift_jis", "cp866", "gbk")
_LETTERS = ("LATIN ", "CYRILLIC ", "CJK UNIFIED", "HIRAGANA ", "KATAKANA ")


def find_code_page(members: Sequence[zipfile.ZipInfo]) -> str:
    """Return the likeliest code page of the names of an archive that are neither marked as UTF-8 nor are UTF-8.

    Without flag 11 a name is in code page 437 by the standard (APPNOTE 4.4.4), but macOS writes UTF-8, and Windows the
    code page of its country. The one that gives letters of one script counts.
    """
    names = {_raw(one) for one in members if not one.flag_bits & 0x800}
    names = {name for name in names if not name.isascii() and not _is_utf8(name)}
    for encoding in _CODE_PAGES if names else ():
        with contextlib.suppress(UnicodeError):
            if all(_is_written(name.decode(encoding)) for name in names):
                return encoding
    return STANDARD_CODE_PAGE


def member_name(info: zipfile.ZipInfo, code_page: str = STANDARD_CODE_PAGE) -> str:
    """Return the name of a member, as UTF-8 if it is marked as that or is that, else in a code page."""
    raw = _raw(info)
    if info.flag_bits & 0x800 or raw.isascii():
        return info.filename
    with contextlib.suppress(UnicodeError):
        return raw.decode("utf-8" if _is_utf8(raw) else code_page)
    return info.filename


def _raw(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name that zipfile read in code page 437; nothing if it took the name from elsewhere."""
    try:
        return info.filename.encode("cp437")
    except UnicodeError:
        return b""


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeError:
        return False
    return True


def _is_written(text: str) -> bool:
    """Whether the letters beyond ASCII are of one script; of a Latin name they are the fewer ones."""
    foreign = [one for one in text if not one.isascii()]
    scripts = {
        next((one for one in _LETTERS if unicodedata.name(letter, "").startswith(one)), "") for letter in foreign
    }
    if scripts == {"LATIN "}:
        return len(foreign) <= sum(one.isalpha() for one in text if one.isascii())
    return "" not in scripts and not ("CYRILLIC " in scripts and len(scripts) > 1) and "LATIN " not in scripts
