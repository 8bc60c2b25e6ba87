"""Networks as files for other programs: ONNX (`.onnx`) and `torch.export` archives (`.pt2`). See `docs/export.md`.

`capture` and `write` make them, with PyTorch; `description` is the metadata in them; `predictor` and `decoding` predict with
them, with ONNX files without PyTorch; `quantisation` makes them smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgenet.system.lazy import lazy_attributes

if TYPE_CHECKING:
    from bridgenet.export.predictor import ExportedPredictor, open_exported
    from bridgenet.export.write import export

_LAZY = {
    "ExportedPredictor": "bridgenet.export.predictor",
    "open_exported": "bridgenet.export.predictor",
    "export": "bridgenet.export.write",
}

__all__ = ["ExportedPredictor", "export", "open_exported"]

__getattr__ = lazy_attributes(__name__, _LAZY)
