"""Text files that users have written, in the encodings that editors and shells write; and names in either Unicode form."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from bridgenet.errors import UserError
from bridgenet.system.walking import why_no_file

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins like UTF-16's
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Encodings by the byte order mark at the beginning of a file."""
_NO_TEXT = re.compile("[\0-\x08\x0e-\x1f\x7f]")


def read_text(path: Path) -> str:
    """Read a file of UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        UserError: the file is missing or no regular one, has another encoding, or is no text.
    """
    return decoded(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Read a file. Raises UserError if that fails, or for a pipe or device, which may never end."""
    if why := why_no_file(path):
        raise UserError(why)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def decoded(content: bytes, path: Path) -> str:
    """The text in the content of the file `path`, see :func:`read_text`."""
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    encoding = MARKS[mark] if mark else _encoding_without_mark(content)
    content = content[len(mark) :]
    if encoding == "utf-16-le" and len(content) % 2:
        content += b"\0"  # a program that took bytes for letters cut the last one
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not {encoding.upper()} text: found byte 0x{content[error.start]:02X} in line {line}. "
            "Save it as UTF-8"
        ) from None
    if control := _NO_TEXT.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise UserError(f"{path} is no text: found byte 0x{ord(control[0]):02X} in line {line}, expected UTF-8 text")
    return text


def _encoding_without_mark(content: bytes) -> str:
    """UTF-16 of European texts has a zero in nearly every second byte; UTF-8 has none."""
    zeros = content[::2].count(0), content[1::2].count(0)
    if max(zeros) * 4 <= len(content) or min(zeros) * 8 > len(content):
        return "utf-8"
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def composed(name: str) -> str:
    """A name in Unicode's form NFC: macOS decomposes letters like `ö` in file names, other systems do not."""
    return unicodedata.normalize("NFC", name)


def as_on_disk(path: Path) -> Path:
    """The path as the file system spells its last part, if it exists in another Unicode form; else `path` itself."""
    if path.exists() or path.name.isascii():
        return path
    others = (path.with_name(unicodedata.normalize(form, path.name)) for form in ("NFC", "NFD"))
    return next((other for other in others if other.exists()), path)
