"""Whether an exported file is as it was written, without PyTorch: a checksum at the end of an ONNX file."""

from __future__ import annotations

import mmap
import warnings
import zlib
from pathlib import Path

from bridgenet.errors import UserError

KEY = b"bridgenet_checksum"
_LENGTH = 8 + len("crc32:")


def _entry(value: bytes) -> bytes:
    """An entry of ONNX metadata as protobuf: field 14 of the model, whose fields 1 and 2 are key and value.

    Appended to a file it belongs to the model, since the entries of a repeated field may lie anywhere.
    """
    pair = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12" + bytes([len(value)]) + value
    return b"\x72" + bytes([len(pair)]) + pair


_START = _entry(bytes(_LENGTH))[:-_LENGTH]


def sign(path: Path) -> None:
    """Append the checksum of all that is in an ONNX file."""
    with path.open("r+b") as file:
        value = _sum(file.fileno(), path.stat().st_size)
        file.seek(0, 2)
        file.write(_entry(value))


def check_onnx(path: Path) -> None:
    """UserError if an ONNX file is not as :func:`sign` left it; a warning if it has no checksum."""
    size = path.stat().st_size - len(_START) - _LENGTH
    with path.open("rb") as file:
        file.seek(max(0, size))
        end = file.read()
        if size <= 0 or not end.startswith(_START):
            file.seek(0)
            if KEY in file.read():
                raise UserError(f"{path} was changed after its export, or is not whole; export the network again")
            warnings.warn(f"{path} has no checksum, so that damage would go unnoticed", stacklevel=4)
        elif end[len(_START) :] != _sum(file.fileno(), size):
            raise UserError(
                f"{path} is damaged: its checksum does not match; copy it again, or export the network again"
            )


def _sum(file: int, size: int) -> bytes:
    with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        return f"crc32:{zlib.crc32(view[:size]):08x}".encode()
