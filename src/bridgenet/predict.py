"""Prediction on one's own pictures: whatever the input, one map per task in the picture's own size.

The parts are in :mod:`bridgenet.prediction`; these are their public names.
"""

from __future__ import annotations

from bridgenet.prediction.inputs import find_inputs
from bridgenet.prediction.manifest import read_manifest
from bridgenet.prediction.network import NetworkPredictor, predict_image
from bridgenet.prediction.request import check_request
from bridgenet.prediction.result import Prediction
from bridgenet.prediction.run import RunOptions, predict_all, run_inputs

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
