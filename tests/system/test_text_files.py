from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from bridgenet.data.folders.description import read_description
from bridgenet.errors import UserError
from bridgenet.system.text_files import as_on_disk, composed, read_text

TEXT = "Größe_1\r\nb\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(TEXT.encode(encoding))
    assert read_text(tmp_path / "list.txt") == TEXT


def test_utf_16_that_lacks_its_last_byte(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("a\nb\n".encode("utf-16")[:-1])
    assert read_text(tmp_path / "list.txt") == "a\nb\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TEXT.encode("latin-1"), r"is not UTF-8 text: found byte 0xF6 in line 1\. Save it as UTF-8"),
        (b"a\nb\x1b[2J", r"is no text: found byte 0x1B in line 2"),
        (b"\xff\xfea\0\0\xd8\0\xd8", r"is not UTF-16-LE text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), r"list\.txt is no"),
    ],
)
def test_what_is_no_text_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_text(tmp_path / "list.txt")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"list\.txt does not exist"):
        read_text(tmp_path / "list.txt")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    for path, words in [(tmp_path / "list.txt", "is a named pipe"), (Path("/dev/zero"), "is a device")]:
        with pytest.raises(UserError, match=words):
            read_text(path)
        with pytest.raises(UserError, match=words):
            read_description(path)


def test_names_in_another_unicode_form(tmp_path: Path) -> None:
    name = "Größe"
    decomposed = unicodedata.normalize("NFD", name)
    (tmp_path / decomposed).mkdir()
    assert composed(decomposed) == name
    assert as_on_disk(tmp_path / name).is_dir()
    assert as_on_disk(tmp_path / "Größer") == tmp_path / "Größer"
