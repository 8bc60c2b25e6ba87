"""Prediction for pictures, folders, web addresses, videos and cameras. See `docs/predict.md`.

`inputs` finds and reads inputs, `network` and `tiling` compute, `result`, `writing`, `points` and `video` draw and write,
`manifest` records what was done, `run` joins them; `model` is what `bridgenet.load` returns. Only `network`, `tiling`, `model`
and `hub` need PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgenet.system.lazy import lazy_attributes

if TYPE_CHECKING:
    from bridgenet.prediction.inputs import find_inputs
    from bridgenet.prediction.manifest import read_manifest
    from bridgenet.prediction.network import NetworkPredictor, predict_image
    from bridgenet.prediction.request import check_request
    from bridgenet.prediction.result import Prediction
    from bridgenet.prediction.run import RunOptions, predict_all, run_inputs

_LAZY = {
    "NetworkPredictor": "bridgenet.prediction.network",
    "Prediction": "bridgenet.prediction.result",
    "RunOptions": "bridgenet.prediction.run",
    "check_request": "bridgenet.prediction.request",
    "find_inputs": "bridgenet.prediction.inputs",
    "predict_all": "bridgenet.prediction.run",
    "predict_image": "bridgenet.prediction.network",
    "read_manifest": "bridgenet.prediction.manifest",
    "run_inputs": "bridgenet.prediction.run",
}

__all__ = [
    "NetworkPredictor",
    "Prediction",
    "RunOptions",
    "check_request",
    "find_inputs",
    "predict_all",
    "predict_image",
    "read_manifest",
    "run_inputs",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
