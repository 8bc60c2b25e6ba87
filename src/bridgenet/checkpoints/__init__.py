"""Weights on disk: the authors' checkpoints, backbones' files, and this project's own format.

The own format is one safetensors file: weights under `model.`, and (in a run's `last`) the optimiser's state under
`optimizer.`; the network's description and everything else that is not a tensor stands as JSON in its metadata under the
key `bridgenet`. It is written atomically and loads with no other argument.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bridgenet import extensions
from bridgenet.checkpoints.files import State, fit, is_safetensors, read_config, read_file, read_state
from bridgenet.checkpoints.reference import DROPPED, is_reference, recognise, reference_name
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import RECORDED
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network
from bridgenet.model.description import NetworkConfig
from bridgenet.model.inference import Precision, optimize_for_inference, resolve_precision
from bridgenet.system.files import replacing

FORMAT = 1
BEST, LAST = "best.safetensors", "last.safetensors"
HUB_WEIGHTS = "model.safetensors"
AUTHORS_LICENCE = "cc-by-nc-4.0"
"""Of the weights that the authors released, and so of whatever is converted from a file in their names."""


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
        information: whatever else to keep, JSON types, e.g. `{"step": 1000}`; it is added to `network.information`.
        optimizer: tensors of the optimiser's state by name.

    Raises:
        UserError: the network has no description, or weights of the authors' would get another licence.
    """
    path = Path(path)
    tensors = {f"model.{key}": value.detach().contiguous().cpu() for key, value in network.state_dict().items()}
    tensors |= {f"optimizer.{key}": value.detach().contiguous().cpu() for key, value in (optimizer or {}).items()}
    metadata = {"bridgenet": json.dumps(description(network, information))}
    with replacing(path) as partial:
        try:
            save_file(tensors, str(partial), metadata=metadata)
        except SafetensorError as error:
            raise UserError(f"{path} could not be written: {error}") from None


def description(network: BridgeNet, information: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is saved beside the weights, JSON types: `format`, `network`, `information`; see :func:`save`."""
    if network.config is None:
        raise UserError("this network has no description (network.config); build it with bridgenet.build_network")
    kept = dict(network.information) | dict(information or {})
    if "origin" in network.information:
        kept["origin"] = network.information["origin"]
        if kept.get("licence") != (licence := network.information.get("licence")):
            raise UserError(
                f"these weights come from {kept['origin']}, licence {licence}: they cannot be given the licence "
                f"{kept.get('licence')}; leave it out"
            )
    return {"format": FORMAT, "network": network.config.as_dict(), "information": kept}


def read_own(path: Path) -> tuple[State, State, NetworkConfig, dict[str, Any]] | None:
    """Weights, optimiser tensors, description and information of an own file; None if it is another kind of file."""
    if not is_safetensors(path):
        return None
    content, metadata = read_file(path)
    if "bridgenet" not in metadata:
        return None
    config, information = _described(metadata["bridgenet"], path)

    def part(prefix: str) -> State:
        return {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}

    return part("model."), part("optimizer."), config, information


def _described(text: str, path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """The network and the information that stand beside weights (see :func:`description`)."""
    try:
        found = json.loads(text)
        version, complete = found["format"], {"network", "information"} <= set(found)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f"{path}: its description is damaged; copy or download the file again") from None
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this version reads {FORMAT}: update bridgenet")
    if not complete or not isinstance(found["network"], dict) or not isinstance(found["information"], dict):
        raise UserError(f"{path}: its description is incomplete; copy or download the file again")
    try:
        return NetworkConfig.from_dict(found["network"]), found["information"]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_description(path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """The network of an own file and what was saved beside its weights (`{"step": …}`), without reading the weights."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            text = (opened.metadata() or {})["bridgenet"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a whole file of this project's ({error})") from None
    return _described(text, path)


def read_information(path: Path) -> dict[str, Any]:
    """What was saved beside the weights of an own file, see :func:`read_description`."""
    return read_description(path)[1]


def weights_path(source: str | Path) -> Path:
    """The weight file that `source` means: itself, a run folder's `best`, else its `last`, or a hub folder's weights.

    A hub name `owner/name` that is no local path is downloaded, its weights in this project's format and nothing else.
    """
    from bridgenet.hub import download, is_hub_name

    path = Path(source)
    if path.is_dir():
        for name in (BEST, LAST, HUB_WEIGHTS):
            if (path / name).is_file():
                return path / name
        raise UserError(
            f"{path} holds no weights (looked for {BEST} and {LAST}); is it a run folder, or one of the hub ({HUB_WEIGHTS})?"
        )
    if not path.exists() and is_hub_name(str(source)):
        return download(str(source))
    return path


def load(
    source: str | Path,
    *,
    device: str | torch.device = "auto",
    config: Mapping[str, Any] | str | Path | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    trust: Collection[str] = (),
) -> BridgeNet:
    """A network in evaluation mode, ready to be called or to predict.

    Nothing that is loaded can run code, except code on this machine that weights name (a decoder of one's own) and that is
    trusted: see `trust`.

    The first `model.predict(…)` brings the weights into the form that computes fastest, with equal results (see
    :func:`bridgenet.optimize_for_inference`); from then on it is for inference only. To train it or to save it, do so
    before, or predict with `optimize=False`. Another precision, or compiling, does so at once.

    Args:
        source: a run folder, this project's weights (`.safetensors`), a checkpoint in the authors' names (`.pth.tar`,
            `.pth`, `.safetensors`), whose configuration is told from the file, a folder as it is on the Hugging Face
            hub, or a name there (`owner/name`, if there is no such local path).
        device: `"auto"` takes the first GPU if there is one, else the CPU.
        config: for a checkpoint in the authors' names of a network other than the eight published, what the file cannot
            tell, in the authors' keys: `backbone_kwargs`, `image_size`, `mtt_resolution_downsample_rate`, `dilated_ratio`;
            or a JSON or YAML file of them. Keys that are known already may be present; they must agree with the file.
        precision: `"float32"`, `"bfloat16"`, or `"auto"`: bfloat16 where the processor is faster in it.
        compile: have PyTorch compile the network at its first call.
        trust: modules or packages whose code weights may name, beside those that are imported already. A run folder
            (with its `config.yaml`) is taken to be your own.

    Returns:
        `model(images)` takes (B, 3, H, W) normalised images and gives `logits` and `intermediate_logits`;
        `model.predict(image)` takes a path, a PIL image or an (H, W, 3) uint8 array. `model.information` is what is
        recorded beside the weights: step, scores, origin, licence.

    Raises:
        UserError: nothing there, damaged, refused, or weights that do not fit; a weight is never left at its random start.
    """
    path = weights_path(source)
    with extensions.trusting([*trust, *own_modules(source)]):
        network = _read(path, config)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).eval()
    if resolve_precision(precision, next(network.parameters()).device) != torch.float32 or compile:
        return optimize_for_inference(network, precision=precision, compile=compile)
    network.optimize_on_predict = True
    return network


def own_modules(source: str | Path) -> list[str]:
    """Modules that the weights in a run folder name; none for anything but a run folder."""
    if not (Path(source) / "config.yaml").is_file():
        return []
    if (path := weights_path(source)).name == HUB_WEIGHTS or not is_safetensors(path):  # someone's folder of the hub
        return []
    return [extensions.module_of(text) for text in read_description(path)[0].own_parts().values()]


def _read(path: Path, config: Mapping[str, Any] | str | Path | None) -> BridgeNet:
    """The network in a weight file, with what is recorded beside it."""
    if own := read_own(path):
        state, _, network_config, information = own
        network = _filled(network_config, state, path)
        if "first_scores" in information:  # a run's last: the scores in it are of an earlier step
            kept = {key: information[key] for key in RECORDED if key in information}
            information = {"step": information.get("step")} | kept
    else:
        state, content = read_state(path)
        if not is_reference(state):
            raise UserError(
                f"{path} holds neither this project's weights nor a BridgeNet checkpoint in the authors' names "
                f"(first keys: {', '.join(list(state)[:3])}); bridgenet inspect tells what it is"
            )
        given = read_config(config) if isinstance(config, str | Path) else config
        state, network_config, information = open_reference(state, content, given, path)
        network = _filled(network_config, state, path, reference_names)
    network.information = information
    return network


def open_reference(
    state: State, content: Mapping[str, Any], given: Mapping[str, Any] | None, path: Path
) -> tuple[State, NetworkConfig, dict[str, Any]]:
    """Of a file in the authors' names: the weights that computations read, the network, and what is recorded of both.

    A file that `bridgenet convert` wrote carries its description; any other is taken to be the authors', with their licence.
    """
    state = {key: value for key, value in state.items() if not DROPPED.match(key)}
    if isinstance(text := content.get("bridgenet"), str):
        config, information = _described(text, path)
        return state, recognise(state, given, path) if given else config, information
    information = {"origin": f"{path.name} (in the names of BridgeNet's authors)", "licence": AUTHORS_LICENCE}
    counts = {"step": content.get("iter_count"), "epoch": content.get("epoch")}
    information |= {key: value for key, value in counts.items() if isinstance(value, int)}
    return state, recognise(state, given, path), information


def sketch(config: NetworkConfig, state: Mapping[str, Tensor], path: Path) -> BridgeNet:
    """The network without memory (meta device), to compare weights with before anything large is made."""
    for settings in (config.decoder, config.backbone):
        for name in ("refine_depth", "depth", "depths"):
            found = settings.get(name, 0)
            for depth in found if isinstance(found, list | tuple) else [found]:
                if isinstance(depth, int) and depth > len(state):
                    raise UserError(f"{path}: its description says {name} {depth}, but there are {len(state)} weights")
    with torch.device("meta"):
        return _built(config, path)


def _filled(
    config: NetworkConfig,
    state: State,
    path: Path,
    names_of: Callable[[BridgeNet], dict[str, str]] | None = None,
) -> BridgeNet:
    """The network with these weights; `names_of` gives {our name: the state's}, by default they are the same."""
    drawn = sketch(config, state, path)
    names = names_of(drawn) if names_of else {key: key for key in drawn.state_dict()}
    fit(state, {names[key]: value for key, value in drawn.state_dict().items() if key in names}, path)
    with _NoRandomNumbers():  # every weight is about to be replaced
        network = _built(config, path)
    # Of the authors' names, num_batches_tracked is left out: it is not read with a fixed momentum.
    network.load_state_dict({key: state[name] for key, name in names.items()}, strict=False)
    bad = [key for key, x in network.state_dict().items() if x.is_floating_point() and not torch.isfinite(x).all()]
    if bad:
        warnings.warn(f"{path}: {len(bad)} weights hold NaN or infinity (first: {bad[0]})", stacklevel=3)
    if wide := [key for key, x in state.items() if x.dtype == torch.float64]:
        warnings.warn(f"{path}: {len(wide)} weights are float64 and are rounded to float32", stacklevel=3)
    return network


class _NoRandomNumbers(TorchFunctionMode):
    """Zeros in place of the draws of weights' initialisation, which take longer than loading them."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        if name in ("uniform_", "normal_"):  # methods of tensors, and torch.nn.init's functions of these names
            tensor = args[0] if args else kwargs["tensor"]
            tensor.detach().zero_()
            return tensor
        return args[0] if name == "erfinv_" else function(*args, **kwargs)


def reference_names(network: BridgeNet) -> dict[str, str]:
    """{our name: the authors' name} of every weight and buffer that both have."""
    order = list(network.tasks)
    return {key: reference_name(key, order) for key in network.state_dict() if not key.endswith("num_batches_tracked")}


def _built(config: NetworkConfig, path: Path) -> BridgeNet:
    extensions.check_trusted(config.own_parts(), path)
    try:
        return build_network(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # a foreign description: what a backbone makes of its settings is no closed list
        raise UserError(f"{path}: no network can be built from its description: {error}") from None
