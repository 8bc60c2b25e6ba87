"""What MkDocs does beside: cross-references of docstrings (`:func:` and the like) become plain code."""

from __future__ import annotations

import re
from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """Without the roles before code."""
    return re.sub(r":(?:func|class|meth|mod|data):(<code>)~?", r"\1", html)
