"""The configuration of a run: settings (`settings`), reading presets, files and flags (`loading`), derived values (`resolved`)."""

from bridgenet.config.loading import KEYS, LEAVES, flatten, load, presets
from bridgenet.config.settings import RunConfig

__all__ = ["KEYS", "LEAVES", "RunConfig", "flatten", "load", "presets"]
