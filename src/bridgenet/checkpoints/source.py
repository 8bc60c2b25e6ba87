"""A source of weights, opened once: what the user named, what file that is, and the network in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bridgenet import extensions
from bridgenet.checkpoints.detection import detect_network
from bridgenet.checkpoints.files import State, check_state_dict, is_safetensors, read_config, read_state, weights_digest
from bridgenet.checkpoints.hub import download, is_hub_name
from bridgenet.checkpoints.own import BEST, HUB_WEIGHTS, LAST, parse_description, read_description, read_own
from bridgenet.checkpoints.reference import DROPPED, is_reference, reference_name
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import RECORDED
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network
from bridgenet.model.description import NetworkConfig
from bridgenet.model.records import record, required_record

AUTHORS_LICENCE = "cc-by-nc-4.0"
"""Of the weights that the authors released, and so of whatever is converted from a file in their names."""


@dataclass
class Source:
    """Weights that the user named.

    Attributes:
        path: of the weight file.
        kind: `"own"`, this project's format, or `"authors"`, the authors' names.
        config: how the network is built.
        information: what is recorded beside the weights: step, scores, origin, licence.
        digest: see :func:`bridgenet.checkpoints.files.weights_digest`; it tells whether the file is still the same.
        trust: modules whose code the weights may name.
    """

    path: Path
    kind: Literal["own", "authors"]
    config: NetworkConfig
    information: dict[str, Any]
    digest: str
    trust: tuple[str, ...] = ()
    _given: Mapping[str, Any] | None = None  # what a file in the authors' names cannot tell
    _state: State | None = field(default=None, repr=False)  # mapped from the file, until the network is made

    def network(self) -> BridgeNet:
        """A network with these weights, on the CPU, in evaluation mode. Each call gives another one.

        Raises:
            UserError: weights are missing, left over or of another shape, or name code that is not trusted.
        """
        state = self._state if self._state is not None else _read(self.path, self._given)[0]
        self._state = None
        with extensions.trusting(self.trust):
            network = _filled(self.config, state, self.path, reference_names if self.kind == "authors" else None)
        record(network, required_record(network).config, self.information)
        return network.eval()

    def check_unchanged(self) -> None:
        """UserError if the file is gone, or another one since it was opened."""
        if not self.path.is_file():
            raise UserError(f"{self.path} is gone: its weights cannot be read again")
        if weights_digest(self.path) != self.digest:
            raise UserError(f"{self.path} was written anew since it was loaded; load it again")


def open_source(
    source: str | Path,
    *,
    config: Mapping[str, Any] | str | Path | None = None,
    trust: Collection[str] = (),
) -> Source:
    """Find and describe what a user named; see :func:`bridgenet.load` for the arguments and errors."""
    path = weights_path(source)
    given = read_config(config) if isinstance(config, str | Path) else config
    state, kind, network_config, information = _read(path, given)
    return Source(
        path,
        kind,
        network_config,
        information,
        weights_digest(path),
        (*trust, *custom_modules(source)),
        given,
        state,
    )


def _read(
    path: Path, given: Mapping[str, Any] | None
) -> tuple[State, Literal["own", "authors"], NetworkConfig, dict[str, Any]]:
    """Weights, in whose names they are, how the network is built, and what is recorded."""
    if own := read_own(path):
        state, _, config, information = own
        if "first_scores" in information:  # a run's last: the scores in it are of an earlier step
            kept = {key: information[key] for key in RECORDED if key in information}
            information = {"step": information.get("step")} | kept
        return state, "own", config, information
    state, content = read_state(path)
    if not is_reference(state):
        raise UserError(
            f"{path} holds neither this project's weights nor a BridgeNet checkpoint in the authors' names "
            f"(first keys: {', '.join(list(state)[:3])}); bridgenet inspect tells what it is"
        )
    state, config, information = open_reference(state, content, given, path)
    return state, "authors", config, information


def weights_path(source: str | Path) -> Path:
    """The weight file that `source` means: itself, a run folder's `best`, else its `last`, or a hub folder's weights.

    A hub name `owner/name` that is no local path is downloaded, its weights in this project's format and nothing else.
    """
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


def custom_modules(source: str | Path) -> list[str]:
    """Modules that the weights in a run folder name; none for anything but a run folder."""
    if not (Path(source) / "config.yaml").is_file():
        return []
    if (path := weights_path(source)).name == HUB_WEIGHTS or not is_safetensors(path):  # someone's folder of the hub
        return []
    return [extensions.module_of(text) for text in read_description(path)[0].custom_parts().values()]


def open_reference(
    state: State, content: Mapping[str, Any], given: Mapping[str, Any] | None, path: Path
) -> tuple[State, NetworkConfig, dict[str, Any]]:
    """Of a file in the authors' names: the weights that computations read, the network, and what is recorded of both.

    A file that `bridgenet convert` wrote carries its description; any other is taken to be the authors', with their licence.
    """
    state = {key: value for key, value in state.items() if not DROPPED.match(key)}
    if isinstance(text := content.get("bridgenet"), str):
        config, information = parse_description(text, path)
        return state, detect_network(state, given, path) if given else config, information
    information = {"origin": f"{path.name} (in the names of BridgeNet's authors)", "licence": AUTHORS_LICENCE}
    counts = {"step": content.get("iter_count"), "epoch": content.get("epoch")}
    information |= {key: value for key, value in counts.items() if isinstance(value, int)}
    return state, detect_network(state, given, path), information


def meta_network(config: NetworkConfig, state: Mapping[str, Tensor], path: Path) -> BridgeNet:
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
    drawn = meta_network(config, state, path)
    names = names_of(drawn) if names_of else {key: key for key in drawn.state_dict()}
    check_state_dict(state, {names[key]: value for key, value in drawn.state_dict().items() if key in names}, path)
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
    extensions.check_trusted(config.custom_parts(), path)
    try:
        return build_network(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # a foreign description: what a backbone makes of its settings is no closed list
        raise UserError(f"{path}: no network can be built from its description: {error}") from None
