"""8-bit weights for ONNX files, and the measured change of their predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridgenet.export.description import KEY, Description
from bridgenet.export.integrity import sign
from bridgenet.export.predictor import open_exported
from bridgenet.export.quiet import quiet
from bridgenet.tasks import kinds

OPERATORS = ("MatMul",)
"""Matrix products of transformers and InternImage. ONNX Runtime is several times slower with 8-bit convolutions."""


def quantise(
    path: Path, description: Description, pictures: Sequence[NDArray[np.uint8]], say: Callable[[str], None]
) -> Description:
    """Quantise the weights of an ONNX file to 8 bits, with dynamic activations, and report how its predictions change.

    Args:
        path: path of the file, which is overwritten.
        description: description of the file.
        pictures: (H, W, 3) uint8 RGB, on which the change is measured.
        say: called with a line of text for each task.

    Returns:
        The new description in the file, with `quantised` and `loss`.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = open_exported(path)
    expected = [exact.predict_image(picture).maps for picture in pictures]
    with quiet():
        quantize_dynamic(
            path, path, op_types_to_quantize=list(OPERATORS), per_channel=True, weight_type=QuantType.QInt8
        )
    _describe(path, description)
    quantised = open_exported(path)
    found = [quantised.predict_image(picture).maps for picture in pictures]
    of = {task: kinds.get(values["kind"]) for task, values in description.tasks.items()}
    change = {
        task: float(np.mean([kind.change(before[task], after[task]) for before, after in zip(expected, found)]))
        for task, kind in of.items()
    }
    description = replace(description, quantised="int8", loss=change)
    _describe(path, description)
    for task, value in change.items():
        say(f"int8 changes {task}: {value:.3g} {of[task].change_measure}")
    return description


def _describe(path: Path, description: Description) -> None:
    """Write an ONNX file's description and the checksum of what it holds now."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: description.as_json()})
    onnx.save(model, path)
    sign(path)
