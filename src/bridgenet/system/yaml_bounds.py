"""Bounds of YAML: a small file may stand for more values than any memory holds, or nest deeper than Python can follow."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 50
MOST_VALUES = 20_000


class BoundedLoader(yaml.SafeLoader):
    """Parses plain values. Depth and number of values, repeated ones included, are bounded; whatever fails is a YAMLError."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[str, int] = {}

    def get_single_data(self) -> Any:
        try:
            return super().get_single_data()
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            OverflowError,
        ) as error:  # e.g. of the date 2024-13-40
            raise yaml.YAMLError(f"it has a value that cannot be read: {error}") from None

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        before = self._values
        if isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            if event.anchor in self.anchors and event.anchor not in self._sizes:
                self._refuse(f"{event.anchor} contains itself", event)
            self._values += self._sizes.get(event.anchor or "", 0)
        self._values += 1
        self._depth += 1
        if self._values > MOST_VALUES:
            self._refuse(f"it has more than {MOST_VALUES} values", event)
        if self._depth > DEEPEST:
            self._refuse(f"it nests deeper than {DEEPEST} levels", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if anchor := getattr(event, "anchor", None):
            self._sizes[anchor] = self._values - before
        return node

    def _refuse(self, problem: str, event: Any) -> None:
        raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
