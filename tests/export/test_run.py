"""Exported networks in the place of weights: what `bridgenet predict` asks of them, with a function in the network's place."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet import UserError
from bridgenet.cli import main as cli
from bridgenet.cli.main import export as cli_export
from bridgenet.export.predictor import ExportedPredictor
from bridgenet.prediction.run import RunOptions, run_inputs
from tests.export.test_predictor import DESCRIPTION, Brightness, half_bright


def test_batches_and_outputs(tmp_path: Path) -> None:
    """Pictures of one size go together; all outputs are written."""
    run = Brightness()
    for number, size in enumerate([(48, 64), (48, 64), (64, 48)]):
        Image.fromarray(half_bright(*size)).save(tmp_path / f"{number}.png")
    predictor = ExportedPredictor(run, DESCRIPTION, batch_size=2)
    options = RunOptions(outputs=["raw", "overlay", "ply"])
    counts = run_inputs(predictor, [str(tmp_path)], tmp_path / "out", say=lambda line: None, options=options)
    assert counts["images"] == 3
    assert sorted(shape[0] for shape in run.seen) == [1, 2]
    files = {path.name for path in (tmp_path / "out" / "2").iterdir()}
    assert files == {"semseg.png", "semseg_overlay.png", "depth.npy", "depth_mm.png", "depth_overlay.png", "depth.ply"}


def test_smoothing() -> None:
    """The logits' exponential mean; none by default."""
    predictor = ExportedPredictor(Brightness(), DESCRIPTION)
    dark, bright = np.zeros((48, 48, 3), np.uint8), np.full((48, 48, 3), 255, np.uint8)
    for smoothing, expected in ((0.0, 1.0), (0.75, 0.25 * 1 + 0.75 * -1)):
        stream = predictor.stream(smoothing)
        stream(dark)
        np.testing.assert_allclose(stream(bright).depth, max(expected, 0))
    stream = predictor.stream(0.25)
    stream(dark)
    np.testing.assert_allclose(stream(bright).depth, 0.75 * 1 + 0.25 * -1)
    with pytest.raises(UserError, match="smoothing is 1"):
        predictor.stream(1.0)


def test_what_is_for_weights() -> None:
    options = Namespace(source="a.onnx", precision="float32", compile=False, config=None, tile=512, overlap=None)
    with pytest.raises(UserError, match=r"a\.onnx is exported: tiles are for weights"):
        cli_export.predictor(options)


def test_no_file_is_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(b"before")
    assert cli.run(["export", str(tmp_path / "weights.safetensors"), str(tmp_path / "net.onnx")]) == 2
    assert "net.onnx exists; give another name, or --overwrite" in capsys.readouterr().err
    assert (tmp_path / "net.onnx").read_bytes() == b"before"
