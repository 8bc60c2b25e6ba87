"""A source of weights, opened once: the file that the user named, its description, and the network in it."""

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
from bridgenet.checkpoints.files import (
    State,
    check_state_dict,
    is_safetensors,
    not_finite,
    read_config,
    read_state,
    weights_digest,
)
from bridgenet.checkpoints.hub import download, is_hub_name
from bridgenet.checkpoints.limits import limited
from bridgenet.checkpoints.own import BEST, HUB_WEIGHTS, LAST, parse_description, read_description, read_own
from bridgenet.checkpoints.reference import DROPPED, is_reference, reference_name
from bridgenet.downloads.pictures import refuse_address
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import ANCESTRY
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network
from bridgenet.model.description import NetworkConfig
from bridgenet.model.records import record, required_record
from bridgenet.trust import is_remembered, trusting

AUTHORS_LICENCE = "cc-by-nc-4.0"
"""Licence of the weights that the authors released, and so of all weights converted from a file in their names."""


@dataclass
class Source:
    """Weights that the user named.

    Attributes:
        path: of the weight file.
        kind: `"own"` for this project's format, `"authors"` for the authors' names.
        config: how the network is built.
        information: recorded with the weights: step, scores, origin, licence.
        digest: detects whether the file has changed, see :func:`bridgenet.checkpoints.files.weights_digest`.
        trust: modules whose code the weights may name.
    """

    path: Path
    kind: Literal["own", "authors"]
    config: NetworkConfig
    information: dict[str, Any]
    digest: str
    trust: tuple[str, ...] = ()
    _given: Mapping[str, Any] | None = None  # settings that a file in the authors' names does not contain
    _state: State | None = field(default=None, repr=False)  # memory-mapped, kept until the network is built

    def network(self) -> BridgeNet:
        """Build a network with these weights, on the CPU, in evaluation mode. Each call builds a new one.

        Raises:
            UserError: weights are missing, unexpected or of another shape, or they name code that is not trusted.
        """
        state = self._state if self._state is not None else _read(self.path, self._given)[0]
        self._state = None
        with trusting(self.trust):
            network = _filled(self.config, state, self.path, reference_names if self.kind == "authors" else None)
        record(network, required_record(network).config, self.information)
        return network.eval()

    def check_unchanged(self) -> None:
        """UserError if the file was deleted or changed since it was opened."""
        if not self.path.is_file():
            raise UserError(f"{self.path} is gone: its weights cannot be read again")
        if weights_digest(self.path) != self.digest:
            raise UserError(f"{self.path} was overwritten since it was loaded; load it again")


def open_source(
    source: str | Path,
    *,
    config: Mapping[str, Any] | str | Path | None = None,
    trust: Collection[str] = (),
) -> Source:
    """Find a source of weights and read its description; see :func:`bridgenet.load` for the arguments and errors."""
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
    """The weights, their kind of names, the network's description, and the recorded information."""
    if own := read_own(path):
        state, _, config, information = own
        if "first_scores" in information:  # a run's `last`: its scores are those of an earlier step
            kept = {key: information[key] for key in ANCESTRY if key in information}
            information = {"step": information.get("step")} | kept
        return state, "own", config, information
    state, content = read_state(path)
    if not is_reference(state):
        raise UserError(
            f"{path} holds neither this project's weights nor a BridgeNet checkpoint in the authors' names "
            f"(first keys: {', '.join(list(state)[:3])}); bridgenet inspect reports what it is"
        )
    state, config, information = open_reference(state, content, given, path)
    return state, "authors", config, information


def weights_path(source: str | Path) -> Path:
    """The weight file of a source: the file itself, a run folder's `best` or else `last`, or a hub folder's weights.

    For a hub name `owner/name` that is not a local path, the weights in this project's format are downloaded.
    """
    refuse_address(source)
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
    """Modules that the weights in a run folder name and that a training of this user has run; empty for any other source."""
    if not (Path(source) / "config.yaml").is_file():
        return []
    if (path := weights_path(source)).name == HUB_WEIGHTS or not is_safetensors(
        path
    ):  # a hub folder, which may be from someone else
        return []
    named = {extensions.module_of(text) for text in read_description(path)[0].custom_parts().values()}
    return sorted(filter(is_remembered, named))


def open_reference(
    state: State, content: Mapping[str, Any], given: Mapping[str, Any] | None, path: Path
) -> tuple[State, NetworkConfig, dict[str, Any]]:
    """Of a file in the authors' names: the weights that computations use, the description, and the information.

    A file written by `bridgenet convert` contains its description; any other is assumed to be the authors', with their licence.
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
    """Build the network on the meta device, to compare weights with it before any memory is allocated."""
    for settings in (config.decoder, config.backbone):
        for name in ("refine_depth", "depth", "depths"):
            found = settings.get(name, 0)
            for depth in found if isinstance(found, list | tuple) else [found]:
                if isinstance(depth, int) and depth > len(state):
                    raise UserError(f"{path}: its description says {name} {depth}, but there are {len(state)} weights")
    with torch.device("meta"), limited(len(state)):
        return _built(config, path)


def _filled(
    config: NetworkConfig,
    state: State,
    path: Path,
    names_of: Callable[[BridgeNet], dict[str, str]] | None = None,
) -> BridgeNet:
    """Build the network with these weights; `names_of` gives {our name: name in the state}, by default the same."""
    drawn = meta_network(config, state, path)
    names = names_of(drawn) if names_of else {key: key for key in drawn.state_dict()}
    check_state_dict(state, {names[key]: value for key, value in drawn.state_dict().items() if key in names}, path)
    if bad := not_finite({key: state[name] for key, name in names.items() if name in state}):
        raise UserError(f"{path}: {bad}: its training diverged, or the file is damaged; take an earlier one")
    with _NoRandomNumbers():  # every weight is about to be replaced
        network = _built(config, path)
    # The authors' names omit num_batches_tracked, which is not used with a fixed momentum.
    network.load_state_dict({key: state[name] for key, name in names.items()}, strict=False)
    if wide := [key for key, x in state.items() if x.dtype == torch.float64]:
        warnings.warn(f"{path}: {len(wide)} weights are float64 and are rounded to float32", stacklevel=3)
    return network


class _NoRandomNumbers(TorchFunctionMode):
    """Fills weights with zeros where their initialisation would draw random numbers, which takes longer than loading."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        if name in ("uniform_", "normal_"):  # methods of tensors, and functions of torch.nn.init
            tensor = args[0] if args else kwargs["tensor"]
            tensor.detach().zero_()
            return tensor
        return args[0] if name == "erfinv_" else function(*args, **kwargs)


def reference_names(network: BridgeNet) -> dict[str, str]:
    """{our name: the authors' name} of every weight and buffer that exists in both."""
    order = list(network.tasks)
    return {key: reference_name(key, order) for key in network.state_dict() if not key.endswith("num_batches_tracked")}


def _built(config: NetworkConfig, path: Path) -> BridgeNet:
    extensions.check_trusted(config.custom_parts(), path)
    try:
        return build_network(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # a backbone may raise anything for settings out of a file
        raise UserError(f"{path}: no network can be built from its description: {error}") from None
