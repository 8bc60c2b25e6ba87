"""Export of a network to ONNX or a `torch.export` archive: the file is read back and compared before it is moved."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError
from bridgenet.export.capture import capture, least_size
from bridgenet.export.decoding import normalise
from bridgenet.export.description import KEY, Description, say_deviation
from bridgenet.export.formats import SUFFIXES
from bridgenet.export.integrity import sign
from bridgenet.export.predictor import ExportedPredictor, open_exported
from bridgenet.export.quantisation import quantise
from bridgenet.export.quiet import quiet
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.inference import PreparedNetwork
from bridgenet.model.records import required_record
from bridgenet.prediction.model import Model
from bridgenet.system.files import replacing
from bridgenet.version import __version__

TOLERANCE = 1e-3
"""Largest accepted deviation from PyTorch, relative to each tensor's largest absolute value."""
LARGEST = 2**31 - 2**26
"""Largest size of the weights in an ONNX file [bytes], which is one protobuf message of less than 2 GiB."""
MOST_PIXELS = 24_000_000
"""Largest number of pixels of a fixed size."""
OPSET, LEAST_OPSET = 18, 17

Say = Callable[[str], None]


def export(
    network: BridgeNet | Model,
    path: str | Path,
    *,
    size: Sequence[int] | None = None,
    fixed: bool = False,
    int8: bool = False,
    opset: int = OPSET,
    pictures: Sequence[NDArray[np.uint8]] = (),
    say: Say = lambda line: None,
) -> Description:
    """Export a network for use outside this package, atomically.

    Args:
        network: a network or a model, in float32; the network is moved to the CPU and set to evaluation mode.
        path: path of the file, with the suffix `.onnx` or `.pt2`.
        size: fixed (H, W) of images [pixels], rounded up to multiples of the backbone's divisor.
        fixed: use the size of the training images as fixed size. Without `size` and `fixed`, images may have any size if
            the backbone can be exported so; otherwise the size of the training images is used, which is reported.
        int8: quantise the weights of an ONNX file dynamically to 8 bits; the change is measured and reported, not bounded.
        opset: ONNX opset, 17 or later.
        pictures: (H, W, 3) uint8 RGB, on which the change by quantisation is measured; random pictures by default.
        say: called with lines of text about the progress.

    Returns:
        The description in the file.

    Raises:
        UserError: the suffix is another one, a package is missing, the network is too large for the format or cannot be
            exported, or results deviate from PyTorch's by more than :data:`TOLERANCE`; nothing is written then.
    """
    path = Path(path)
    if isinstance(network, Model):
        network = network.network
    _check(network, path, int8, opset)
    network.cpu().eval().requires_grad_(False)
    description = describe(network)
    wanted = size or (description.image_size if fixed else None)
    if wanted is not None:
        description = replace(description, size=_rounded(wanted, description.size_divisor))
    elif network.backbone.depends_on_size:  # PyTorch would take minutes to detect that
        description = _of_one_size(description)
        say(f"! {description.backbone} depends on the size of images; it is exported for one size")
    say(f"exporting to {path} …")
    try:
        program = capture(network, description.size)
    except UserError as error:
        if description.size is not None:
            raise
        description = _of_one_size(description)
        say(f"! {error}; it is exported for one size")
        program = capture(network, description.size)
    with replacing(path) as partial:
        # The readers detect the format from the suffix.
        working = partial.with_name(f"{partial.name}{path.suffix}")
        try:
            write = _writer(program, working, list(description.tasks), opset)
            write(description)
            description.deviation = deviation(network, open_exported(working), random_images(description))
            worst = max(description.deviation, key=lambda task: description.deviation[task])
            if not description.deviation[worst] <= TOLERANCE:  # NaN too
                raise UserError(
                    f"{path} was not written: its {worst} deviates from PyTorch's by {description.deviation[worst]:.1e} of "
                    f"the largest value, more than {TOLERANCE:g}. Please report the backbone ({description.backbone})"
                )
            say(f"compared with PyTorch, largest deviation: {say_deviation(description.deviation)}")
            if int8:
                description = quantise(working, description, pictures or random_images(description), say)
            else:
                write(description)
            working.replace(partial)
        finally:
            working.unlink(missing_ok=True)
    return description


def describe(network: BridgeNet) -> Description:
    """The description of a network without a fixed size. UserError if it is not known how the network was built."""
    known = required_record(network)
    config = known.config
    return Description(
        tasks={name: task_registry.get(name).as_dict() for name in network.tasks},
        num_outputs=network.tasks,
        class_names={task: list(names) for task, names in config.class_names.items()},
        class_values=dict(config.class_values),
        mean=[round(value, 6) for value in network.mean.flatten().tolist()],
        std=[round(value, 6) for value in network.deviation.flatten().tolist()],
        image_size=list(config.image_size),
        size_divisor=network.backbone.size_divisor,
        least_size=least_size(network),
        size=None,
        backbone=config.backbone.name,
        dataset=config.dataset,
        information=dict(known.information),
        version=__version__,
    )


def random_images(description: Description, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Two pictures (H, W, 3) of areas and noise: in the training images' size and another, or both in the fixed size."""
    if description.size:
        sizes = [(description.size[0], description.size[1])] * 2
    else:
        height, width = (max(description.least_size, side) for side in description.image_size)
        other = (height * 5 // 8 + 3, width * 7 // 8 + 5)
        sizes = [(height, width), (max(description.least_size, other[0]), max(description.least_size, other[1]))]
    random = np.random.default_rng(seed)
    pictures = []
    for rows, columns in sizes:
        areas = random.integers(256, size=(-(-rows // 16), -(-columns // 16), 3)).repeat(16, 0).repeat(16, 1)
        noise = random.integers(-40, 41, size=(rows, columns, 3))
        pictures.append((areas[:rows, :columns] + noise).clip(0, 255).astype(np.uint8))
    return pictures


@torch.inference_mode()
def reference_logits(network: BridgeNet, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Logits of PyTorch, {task: (B, n, H, W)}, of normalised images (B, 3, H, W)."""
    return {task: x.numpy() for task, x in network(torch.from_numpy(images)).logits.items()}


def deviation(
    network: BridgeNet, exported: ExportedPredictor, pictures: Sequence[NDArray[np.uint8]]
) -> dict[str, float]:
    """{task: largest |difference of logits| / largest |logit| of a picture, over all pictures}."""
    worst = dict.fromkeys(exported.tasks, 0.0)
    for picture in pictures:
        image = normalise(picture, exported.description.mean, exported.description.std)[None]
        expected, found = reference_logits(network, image), exported.logits(image)
        for task, x in found.items():
            relative = float(np.abs(x - expected[task]).max() / max(float(np.abs(expected[task]).max()), 1e-12))
            worst[task] = relative if relative != relative else max(worst[task], relative)
    return worst


def _check(network: BridgeNet, path: Path, int8: bool, opset: int) -> None:
    """UserError for requests that are known to fail."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: export writes {' or '.join(SUFFIXES)}; give a name that ends so")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first")
    if isinstance(network, PreparedNetwork):
        raise UserError("a network that was prepared for inference cannot be exported; export the one it was made from")
    if (dtype := next(network.parameters()).dtype) != torch.float32:
        raise UserError(f"the network is in {str(dtype).removeprefix('torch.')}; export it in float32")
    if path.suffix.lower() == ".pt2":
        if int8:
            raise UserError("int8 is for .onnx; a .pt2 archive keeps float32")
        return
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise UserError(f'ONNX needs {", ".join(missing)}, not installed: pip install "bridgenet[export]"')
    if opset < LEAST_OPSET:
        raise UserError(f"opset is {opset}, expected {LEAST_OPSET} or later")
    size = sum(x.numel() * x.element_size() for x in network.state_dict().values())
    if size > LARGEST:
        raise UserError(
            f"the weights are {size / 2**30:.1f} GiB, and an ONNX file holds less than 2 GiB; export to .pt2 instead"
        )


def _of_one_size(description: Description) -> Description:
    return replace(description, size=_rounded(description.image_size, description.size_divisor))


def _rounded(size: Sequence[int], divisor: int) -> list[int]:
    if len(size) != 2 or min(size) < 1:
        raise UserError(f"size is {list(size)}, expected height and width of at least 1")
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(
            f"size is {list(size)}, {size[0] * size[1] / 1e6:.0f} million pixels; at most {MOST_PIXELS / 1e6:.0f} million are "
            "exported. Exported networks shrink larger pictures to their size"
        )
    return [side + -side % divisor for side in size]


def _writer(
    program: torch.export.ExportedProgram, path: Path, names: Sequence[str], opset: int
) -> Callable[[Description], None]:
    """A function that writes the file with a description."""
    if path.suffix.lower() == ".pt2":

        def write_archive(description: Description) -> None:
            with quiet():
                torch.export.save(program, path, extra_files={f"{KEY}.json": description.as_json()})

        return write_archive
    try:
        with quiet():
            converted: Any = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=["image"],
                output_names=list(names),
                verbose=False,
            )
    except Exception as error:  # the exporter has its own exception classes
        raise UserError(f"PyTorch cannot write this network as ONNX ({' '.join(str(error).split())[:300]})") from error

    def write_onnx(description: Description) -> None:
        converted.model.metadata_props[KEY] = description.as_json()
        converted.save(path, external_data=False)
        sign(path)

    return write_onnx
