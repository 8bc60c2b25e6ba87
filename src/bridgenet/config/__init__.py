"""What a run is: its settings (`settings`), reading them from presets, files and flags (`loading`), what follows (`resolved`)."""

from bridgenet.config.loading import KEYS, LEAVES, flatten, load, presets
from bridgenet.config.settings import RunConfig

__all__ = ["KEYS", "LEAVES", "RunConfig", "flatten", "load", "presets"]
