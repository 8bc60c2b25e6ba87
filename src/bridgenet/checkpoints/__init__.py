"""Weights on disk: the authors' checkpoints, backbones' files, and this project's own format.

The own format is one safetensors file: weights under `model.`, and (in a run's `last`) the optimiser's state under
`optimizer.`; the network's description and everything else that is not a tensor stands as JSON in its metadata under the
key `bridgenet`. It is written atomically and loads with no other argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bridgenet.checkpoints.files import State, fit, read_file, state_of
from bridgenet.checkpoints.reference import DROPPED, backbone_name, is_reference, recognise, reference_name
from bridgenet.errors import UserError
from bridgenet.files import replacing
from bridgenet.model.backbones.timm_backbones import PlainTransformer, Pyramid
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.config import NetworkConfig, build_network

FORMAT = 1
BEST, LAST = "best.safetensors", "last.safetensors"

_CLASSIFIER = ("head.", "head_dist.", "fc.", "fc_norm.", "classifier.", "conv_head.", "norm.", "pre_logits.")


def save(
    network: BridgeNet,
    path: str | Path,
    *,
    information: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a network in this project's own format, atomically.

    Args:
        network: made by `build_network` or `load` (its description is saved with it).
        path: of the safetensors file.
        information: whatever else to keep, JSON types, e.g. `{"step": 1000}`.
        optimizer: tensors of the optimiser's state by name.
    """
    if network.config is None:
        raise UserError("this network has no description (network.config); build it with bridgenet.build_network")
    path = Path(path)
    tensors = {f"model.{key}": value.detach().contiguous().cpu() for key, value in network.state_dict().items()}
    tensors |= {f"optimizer.{key}": value.detach().contiguous().cpu() for key, value in (optimizer or {}).items()}
    description = {"format": FORMAT, "network": network.config.as_dict(), "information": dict(information or {})}
    with replacing(path) as partial:
        save_file(tensors, str(partial), metadata={"bridgenet": json.dumps(description)})


def read_own(path: Path) -> tuple[State, State, NetworkConfig, dict[str, Any]] | None:
    """Weights, optimiser tensors, description and information of an own file; None if it is another kind of file."""
    content, metadata = read_file(path)
    if "bridgenet" not in metadata:
        return None
    description = _description(metadata["bridgenet"], path)

    def part(prefix: str) -> State:
        return {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}

    try:
        config = NetworkConfig.from_dict(description["network"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return part("model."), part("optimizer."), config, description["information"]


def _description(text: str, path: Path) -> dict[str, Any]:
    """What stands beside the weights: `format`, `network`, `information`."""
    try:
        description = json.loads(text)
        found, complete = description["format"], {"network", "information"} <= set(description)
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: its description is damaged; copy or download the file again") from None
    if found != FORMAT:
        raise UserError(f"{path} has format {found}, this version reads {FORMAT}: update bridgenet")
    if not complete or not isinstance(description["network"], dict):
        raise UserError(f"{path}: its description is incomplete; copy or download the file again")
    return description


def read_information(path: Path) -> dict[str, Any]:
    """What was saved beside the weights of an own file (`{"step": …}`), without reading the weights."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            return json.loads((opened.metadata() or {})["bridgenet"])["information"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a whole file of this project's ({error})") from None


def weights_path(source: str | Path) -> Path:
    """The weight file that `source` means: itself, or a run folder's `best`, else its `last`."""
    path = Path(source)
    if path.is_dir():
        for name in (BEST, LAST):
            if (path / name).is_file():
                return path / name
        raise UserError(f"{path} holds no weights (looked for {BEST} and {LAST}); is it a run folder?")
    return path


def load(
    source: str | Path, *, device: str | torch.device = "auto", config: Mapping[str, Any] | None = None
) -> BridgeNet:
    """A network in evaluation mode, ready to be called or to predict.

    Args:
        source: a run folder, this project's weights (`.safetensors`), or a checkpoint in the authors' names (`.pth.tar`,
            `.pth`, `.safetensors`), whose configuration is told from the file.
        device: `"auto"` takes the first GPU if there is one, else the CPU.
        config: for a checkpoint in the authors' names of a network other than the eight published, what the file cannot
            tell, in the authors' keys: `backbone_kwargs`, `image_size`, `mtt_resolution_downsample_rate`, `dilated_ratio`.
            Keys that are known already may be present; they must agree with the file.

    Returns:
        `model(images)` takes (B, 3, H, W) normalised images and gives `logits` and `intermediate_logits`;
        `model.predict(image)` takes a path, a PIL image or an (H, W, 3) uint8 array.

    Raises:
        UserError: nothing there, damaged, refused, or weights that do not fit; a weight is never left at its random start.
    """
    path = weights_path(source)
    if own := read_own(path):
        state, _, network_config, _ = own
        network = _empty(network_config, path)
        network.load_state_dict(fit(state, network.state_dict(), path))
    else:
        state = state_of(read_file(path)[0], path)
        if not is_reference(state):
            raise UserError(
                f"{path} holds neither this project's weights nor a BridgeNet checkpoint in the authors' names "
                f"(first keys: {', '.join(list(state)[:3])})"
            )
        network = load_reference(state, config, path)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return network.to(device).eval()


def load_reference(state: State, config: Mapping[str, Any] | None, path: Path) -> BridgeNet:
    """A network with weights in the authors' names; see :func:`load`."""
    state = {key: value for key, value in state.items() if not DROPPED.match(key)}
    network = _empty(recognise(state, config, path), path)
    names = reference_names(network)
    expected = {names[key]: value for key, value in network.state_dict().items() if key in names}
    fit(state, expected, path)
    # num_batches_tracked, the one buffer that is not in the file, is not read with a fixed momentum.
    network.load_state_dict({key: state[name] for key, name in names.items()}, strict=False)
    return network


def reference_names(network: BridgeNet) -> dict[str, str]:
    """{our name: the authors' name} of every weight and buffer that both have."""
    order = list(network.tasks)
    return {key: reference_name(key, order) for key in network.state_dict() if not key.endswith("num_batches_tracked")}


def _empty(config: NetworkConfig, path: Path) -> BridgeNet:
    try:
        return build_network(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: no network can be built from its description: {error}") from None


def load_backbone(backbone: nn.Module, path: str | Path) -> None:
    """Put a backbone's own weights (OpenGVLab's `.pth`, timm's files) into it: all of them, or UserError.

    Learned position embeddings are resampled to the backbone's grid. A classification head in the file is left out.
    """
    path = Path(path)
    state = state_of(read_file(path)[0], path)
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    if isinstance(backbone, PlainTransformer) and "pos_embed" in state and hasattr(backbone.model, "pos_embed"):
        from timm.models.vision_transformer import checkpoint_filter_fn

        state = checkpoint_filter_fn(state, backbone.model)

    def canonical(key: str) -> str:  # timm joins the names of a pyramid's stages with underscores
        return key.replace(".", "_") if isinstance(backbone, Pyramid) else key

    own = {
        canonical(backbone_name(key).removeprefix("model.")): key  # some of timm's pyramids wrap the model once more
        for key in backbone.state_dict()
        if not key.endswith("num_batches_tracked")
    }
    named = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}

    def unwanted(key: str) -> bool:  # classification heads; of timm's pyramids also whatever lies above the last stage
        above = isinstance(backbone, Pyramid) and not any(
            name.startswith(canonical(key.split(".")[0] + ".")) for name in own
        )
        return above or key.startswith(_CLASSIFIER)

    wanted = {canonical(key): value for key, value in named.items() if canonical(key) in own or not unwanted(key)}
    expected = {name: backbone.state_dict()[key] for name, key in own.items()}
    fit(wanted, expected, path, "this backbone")
    backbone.load_state_dict({own[name]: value for name, value in wanted.items()}, strict=False)
