"""PNG and PGM files of any depth, written number by number, and damaged."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np

from bridgenet.imaging import png

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def png_bytes(array: np.ndarray, bits: int, colour: int = GREY, *, more: bytes = b"") -> bytes:
    """A PNG of (H, W) or (H, W, C) whole numbers, with further chunks before the data."""
    height, width = array.shape[:2]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in array]
    else:
        each = np.unpackbits(array.reshape(height, -1, 1).astype(np.uint8), axis=2)[..., 8 - bits :]
        rows = [np.packbits(row.ravel()).tobytes() for row in each]
    header = struct.pack(png.HEADER, width, height, bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == PALETTE else b""
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"".join([png.SIGNATURE, chunk(b"IHDR", header), palette, more, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def pgm_bytes(array: np.ndarray, largest: int, *, text: bool = False) -> bytes:
    height, width = array.shape[:2]
    kind = {2: (b"P5", b"P2"), 3: (b"P6", b"P3")}[array.ndim][text]
    header = kind + b"\n# made by hand\n%d %d\n%d\n" % (width, height, largest)
    if text:
        return header + b" ".join(b"%d" % value for value in array.ravel())
    return header + array.astype(">u2" if largest > 255 else np.uint8).tobytes()


def flip_bit_of_data(path: Path) -> None:
    """One bit within the compressed data of a PNG, whose checksum then does not fit."""
    parts = list(png.chunks(io.BytesIO(path.read_bytes())))
    content = bytearray(path.read_bytes())
    data = next(part.content for part in parts if part.kind == b"IDAT")
    content[content.index(data) + len(data) // 2] ^= 4
    path.write_bytes(content)
