"""HTML pages from templates of the package, with escaped texts and inline pictures."""

from __future__ import annotations

import base64
import functools
import io

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from PIL import Image


@functools.cache
def template(package: str, name: str) -> Template:
    """The Jinja template in the file `name` of a package's folder.

    Additional filters: `data_uri` of pictures, `base64` of texts and bytes, `kind`: the name of an object's class.
    """
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"data_uri": data_uri, "base64": as_base64, "kind": lambda value: type(value).__name__}
    return environment.get_template(name)


def data_uri(picture: Image.Image, *, photograph: bool = False, optimize: bool = True) -> str:
    """A picture as a data URI: PNG, or JPEG for a photograph, which has a tenth of the size.

    Args:
        picture: the picture.
        photograph: whether to use JPEG.
        optimize: minimise the size of a PNG, which takes longer.
    """
    buffer = io.BytesIO()
    if photograph:
        picture.convert("RGB").save(buffer, format="JPEG", quality=88)
    else:
        picture.save(buffer, format="PNG", optimize=optimize)
    return f"data:image/{'jpeg' if photograph else 'png'};base64,{as_base64(buffer.getvalue())}"


def as_base64(content: str | bytes) -> str:
    """Bytes, or a text in UTF-8, in Base64."""
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
