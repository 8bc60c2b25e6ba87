"""Read PNG files as they are stored, after comparing all checksums."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bridgenet.imaging.limits import check_pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = ">IIBBBBB"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Number of channels by colour type: grey, RGB, palette, grey and alpha, RGB and alpha."""
GREY, RGB, PALETTE, GREY_ALPHA = 0, 2, 3, 4


class Chunk(NamedTuple):
    """A part of a PNG file: its kind, e.g. ``b"IDAT"``, its content, and the checksum that follows it."""

    kind: bytes
    content: bytes
    checksum: bytes

    @property
    def stored(self) -> bytes:
        return struct.pack(">I", len(self.content)) + self.kind + self.content + self.checksum


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a PNG file, which is at its start. Raises ValueError where a checksum does not fit, or parts lack."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("it is no PNG file")
    kind = b""
    while kind != b"IEND":
        start = file.read(8)
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        content, checksum = file.read(length), file.read(4)
        if len(start) < 8 or len(content) < length or len(checksum) < 4:
            raise ValueError("the file is truncated")
        if zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            raise ValueError(f"the checksum of its {kind.decode('latin-1')!r} part does not fit")
        yield Chunk(kind, content, checksum)


def check(file: BinaryIO) -> None:
    """ValueError unless all checksums of a PNG file, which is at its start, fit."""
    for _ in chunks(file):
        pass


def read_png(file: BinaryIO) -> tuple[NDArray[Any], int]:
    """The stored numbers of a PNG file, (H, W) or (H, W, C) uint8 or uint16, and their bits: 1, 2, 4, 8 or 16.

    Grey values of less than 8 bits are not stretched; palettes give indices, of 8 bits; alpha is the last channel. Raises
    ValueError for a damaged file.
    """
    header, data = b"", list[bytes]()
    for chunk in chunks(file):
        if chunk.kind == b"IHDR":
            header = chunk.content
        elif chunk.kind == b"IDAT":
            data.append(chunk.stored)
    if len(header) != struct.calcsize(HEADER) or header[9] not in CHANNELS:
        raise ValueError("its header is damaged")
    width, height, bits, colour, *rest = struct.unpack(HEADER, header)
    check_pixels(width, height)
    # Without other parts, and with indices as grey values, the decoder has nothing to convert but the scale of few bits.
    header = struct.pack(HEADER, width, height, bits, GREY if colour == PALETTE else colour, *rest)
    content = b"".join([SIGNATURE, _chunk(b"IHDR", header), *data, _chunk(b"IEND", b"")])
    array: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.shape[:2] != (height, width) or array.itemsize != max(bits // 8, 1):
        raise ValueError("its compressed data are damaged")
    if bits < 8:
        array //= 255 // (2**bits - 1)
    if array.ndim == 3 and colour == GREY_ALPHA:
        array = array[..., [0, 3]]
    elif array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_BGR2RGB if array.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if array.size != height * width * CHANNELS[colour]:
        raise ValueError(f"it was decoded as {array.shape}, expected {CHANNELS[colour]} channels")
    return array, 8 if colour == PALETTE else bits


def _chunk(kind: bytes, content: bytes) -> bytes:
    return Chunk(kind, content, struct.pack(">I", zlib.crc32(kind + content))).stored
