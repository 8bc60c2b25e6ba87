"""Bit-exact conversion between the authors' checkpoints and this project's weights, in both directions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bridgenet import tasks
from bridgenet.checkpoints.files import read_file
from bridgenet.checkpoints.hub import licence_id, write_folder
from bridgenet.checkpoints.own import HUB_WEIGHTS, description, read_own, save
from bridgenet.checkpoints.reference import reference_name
from bridgenet.checkpoints.source import Source, open_source, reference_names
from bridgenet.errors import UserError
from bridgenet.model.backbones.internimage import InternImage
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.decoders import BRIDGENET
from bridgenet.model.decoders.bridgenet.options import NUM_STAGES
from bridgenet.model.records import Record, record, required_record
from bridgenet.system.files import replacing, writing_folder

_AUTHORS_TASKS = ("semseg", "depth", "human_parts", "sal", "normals", "edge")
_AUTHORS_VIT = re.compile(
    r"backbone\.model\.(cls_token|pos_embed|(patch_embed\.proj|norm|"
    r"blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12]))\.(weight|bias))"
)
_OTHER_FILES = (".pt", ".ckpt", ".bin", ".tar", ".onnx", ".zip", ".json", ".yaml")
HUB_FILES = (HUB_WEIGHTS, "config.json", "README.md")


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    config: Mapping[str, Any] | str | Path | None = None,
    overwrite: bool = False,
    licence: str | None = None,
) -> Source:
    """Write the weights of `source` in the form that the name of `destination` selects, and return what was converted.

    The written file is read back and compared with the network, bit by bit, before it is moved to `destination`.

    Args:
        source: whatever :func:`bridgenet.load` takes.
        destination: `.pth.tar` or `.pth` selects the authors' form, `.safetensors` this project's; any other name is a
            folder in the layout of the Hugging Face hub.
        config: see :func:`bridgenet.load`.
        overwrite: replace an existing file, or the three files of an existing hub folder.
        licence: licence of the weights, recorded with them; weights converted from the authors' keep the authors' licence.

    Raises:
        UserError: `source` cannot be loaded, `destination` exists, or the authors' code does not support such a network.
    """
    destination = Path(destination)
    form = _form(destination)
    _check_free(destination, form, overwrite)
    opened = open_source(source, config=config)
    network, information = opened.network(), opened.information
    if licence is not None:
        if not licence.strip():
            raise UserError("the licence (--license) is empty, expected a name like mit or cc-by-4.0")
        information = description(opened.config, {"licence": licence_id(licence)}, information)["information"]
        record(network, opened.config, information)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"{destination.parent} is not a folder") from None
    if form == "folder":
        with writing_folder(destination) as folder:
            write_folder(folder, network, opened.config, information)
            _check_written(network, folder / HUB_WEIGHTS)
        return replace(opened, information=dict(information))
    with replacing(destination) as partial:
        if form == "authors":
            try:
                torch.save(as_released(network), partial)
            except UserError as error:
                raise UserError(f"{destination}: {error}") from None
            except RuntimeError as error:
                raise UserError(f"{destination} could not be written: {str(error).splitlines()[0]}") from None
        else:
            save(network, partial)
        _check_written(network, partial)
    return replace(opened, information=dict(information))


def _form(destination: Path) -> str:
    name = destination.name
    if name.endswith((".pth.tar", ".pth")):
        return "authors"
    if name.endswith(".safetensors"):
        return "own"
    if name.endswith(_OTHER_FILES) and not destination.is_dir():
        raise UserError(
            f"{destination}: nothing is written as {destination.suffix}; .pth.tar asks for the authors' form, .safetensors "
            "for this project's, and a name without a suffix for a folder of the Hugging Face hub"
        )
    return "folder"


def _check_free(destination: Path, form: str, overwrite: bool) -> None:
    if form != "folder":
        if destination.is_dir():
            raise UserError(f"{destination} is a folder, expected a file to write")
        if os.path.lexists(destination) and not overwrite:  # a link to nowhere as well
            raise UserError(f"{destination} exists; give --overwrite to replace it, or another name")
    elif destination.is_file():
        raise UserError(
            f"{destination} is a file; a folder is written there. For a single file, end it in .safetensors"
        )
    elif destination.is_dir() and (entries := sorted(path.name for path in destination.iterdir())):
        if foreign := [name for name in entries if name not in HUB_FILES]:
            raise UserError(
                f"{destination} holds other files than weights' ({', '.join(foreign[:3])}); choose another folder"
            )
        if not overwrite:
            raise UserError(f"{destination} holds weights; give --overwrite to replace them, or another name")


def as_released(network: BridgeNet) -> dict[str, Any]:
    """The content of a checkpoint of the authors' training, as far as weights are concerned; tensors are not copied.

    `model` has every key that the authors' strict loading expects. Weights that no computation uses are not trained
    values: they are 0, and norms' weights are 1. The network's description is stored under `bridgenet`, so that
    :func:`bridgenet.load` needs nothing else.

    Raises:
        UserError: the authors' code does not support such a network.
    """
    known = _check_known_to_authors(network)
    names = reference_names(network)
    order = list(network.tasks)
    own = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    state = {names[key] if key in names else reference_name(key, order): value for key, value in own.items()}
    state |= unused_weights(network)
    text = json.dumps(description(known.config, known.information))
    step, epoch = (known.information.get(key) for key in ("step", "epoch"))
    return {
        "model": {f"module.{key}": value for key, value in state.items()},
        "epoch": epoch if isinstance(epoch, int) else 0,
        "iter_count": step if isinstance(step, int) else 0,
        "bridgenet": text,
    }


def unused_weights(network: BridgeNet) -> dict[str, Tensor]:
    """The weights of the authors' files that no computation uses, in the authors' names."""
    width: Any = network.decoder.out_channels
    narrow, num_tasks, first = width // 4, len(network.tasks), network.backbone.channels[0]
    lateral = (narrow, first, 3, 3) if isinstance(network.backbone, InternImage) else (first, narrow, 3, 3)
    prefix = "multi_task_decoder."
    state = {
        f"{prefix}scale_embed.0.weight": torch.zeros(lateral),
        f"{prefix}scale_embed.0.bias": torch.zeros(narrow),
        f"{prefix}trfl.norm_mt.weight": torch.ones(num_tasks * narrow),
        f"{prefix}trfl.norm_mt.bias": torch.zeros(num_tasks * narrow),
    }
    for number in range(num_tasks):
        state[f"{prefix}trfl.redu_chan.0.{number}.weight"] = torch.zeros(width, width, 1, 1)
        state[f"{prefix}trfl.redu_chan.0.{number}.bias"] = torch.zeros(width)
    return state


def _check_known_to_authors(network: BridgeNet) -> Record:
    """The record of a network that the authors' code supports. UserError for any other network."""
    known = required_record(network)
    decoder = known.config.decoder
    if decoder.name != BRIDGENET:
        raise UserError(
            f"the authors' code does not know the decoder {decoder.name}; write .safetensors or a folder instead"
        )
    if decoder["num_stages"] != NUM_STAGES:
        raise UserError(
            f"the authors' code knows decoders of {NUM_STAGES} stages, this one has {decoder['num_stages']}; write "
            ".safetensors or a folder instead"
        )
    if lacking := [name for name in ("tpp", "bfe", "tfr") if not decoder[name]]:
        raise UserError(
            f"the authors' code knows no decoder without {lacking[0].upper()}; write .safetensors or a folder instead"
        )
    kwargs, order = known.config.backbone, list(network.tasks)
    if isinstance(network.backbone, InternImage):
        is_theirs = kwargs.get("layer_scale", True) and kwargs.get("post_norm", True)
    else:
        keys = [key for key in network.state_dict() if key.startswith("backbone.")]
        is_theirs = all(map(_AUTHORS_VIT.fullmatch, keys)) and "backbone.model.cls_token" in keys
    if not is_theirs:
        raise UserError(
            f"the authors' code does not know the backbone {known.config.backbone.name} (it knows ViT with a class token, and "
            "InternImage); write .safetensors or a folder instead"
        )
    if foreign := [task for task in order if task not in _AUTHORS_TASKS]:
        raise UserError(f"the authors' code does not know the task {foreign[0]} (it knows {', '.join(_AUTHORS_TASKS)})")
    if order != tasks.in_order(order):
        raise UserError(
            f"the network's tasks are in the order {', '.join(order)}; the authors' code numbers them in the order "
            f"{', '.join(tasks.in_order(order))}, in which these weights would mean something else"
        )
    return known


def _check_written(network: BridgeNet, path: Path) -> None:
    """Read a written file back and compare every weight with the network's; UserError if one differs by a bit."""
    own = read_own(path)
    if own is not None:
        written, expected = own[0], network.state_dict()
    else:
        written, expected = read_file(path)[0]["model"], as_released(network)["model"]
    different = [key for key in expected if key not in written or not _same_bits(written[key], expected[key])]
    if different or len(written) != len(expected):
        raise UserError(f"what was written differs from the weights ({', '.join(different[:3])}): nothing was kept")


def _same_bits(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return torch.equal(a.contiguous().flatten().view(torch.uint8), b.contiguous().flatten().view(torch.uint8))
