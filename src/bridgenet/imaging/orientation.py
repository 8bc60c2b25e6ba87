"""How a picture is to be turned for looking at it: the orientation of EXIF, in a file's header."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image

from bridgenet.imaging.reading import FORMATS

PNG_SIGNATURE = b"\x89PNG"
_IN_PNG = (b"eXIf", b"exif", b"Orientation")
"""Words in PNG files that may have an orientation: without them, the file need not be decoded to know."""


def orientation(path: Path) -> int:
    """The orientation of EXIF, of a TIFF or of XMP: 1 to 8, where 1 is upright; 1 for a file that Pillow cannot read.

    :func:`bridgenet.imaging.reading.read_picture` turns pictures by it.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE:
                content = file.read()
                if not any(word in content for word in _IN_PNG):
                    return 1
        with Image.open(path, formats=FORMATS) as image:
            found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # who reads the pixels reports what is damaged
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
