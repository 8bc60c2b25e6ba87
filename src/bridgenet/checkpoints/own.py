"""This project's own weight files.

A file is in the safetensors format. It has the weights under `model.` and, in a run's `last`, the optimiser's state under
`optimizer.`; the network's description and everything else that is not a tensor is JSON in the metadata key `bridgenet`. The
checksums of description and weights, and of the optimiser's state, are JSON in the metadata key `bridgenet_checksums`.
Files are written atomically and load without further arguments.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bridgenet.checkpoints.checksum import checksum
from bridgenet.checkpoints.files import State, is_safetensors, read_file
from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.description import NetworkConfig
from bridgenet.model.records import required_record
from bridgenet.system.files import replacing

FORMAT = 1
BEST, LAST = "best.safetensors", "last.safetensors"
HUB_WEIGHTS = "model.safetensors"
CHECKSUMS = "bridgenet_checksums"


def save(
    network: BridgeNet,
    path: str | Path,
    *,
    config: NetworkConfig | None = None,
    information: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a network in this project's own format, atomically.

    Args:
        network: its weights are written.
        path: of the safetensors file.
        config: how the network was built; not needed if `build_network` or `load_network` made it.
        information: anything else to keep, as JSON types, e.g. `{"step": 1000}`; it is added to the recorded information.
        optimizer: tensors of the optimiser's state by name.

    Raises:
        UserError: it is not known how the network was built, or the authors' weights would get another licence.
    """
    path = Path(path)
    known = required_record(network, config)
    described = description(known.config, information or {}, known.information)
    text = json.dumps(described)
    parts = {"model": network.state_dict(), "optimizer": optimizer or {}}
    plain = {part: {key: x.detach().contiguous().cpu() for key, x in state.items()} for part, state in parts.items()}
    tensors = {f"{part}.{key}": x for part, state in plain.items() for key, x in state.items()}
    sums = {part: checksum(text, state) for part, state in plain.items()}
    with replacing(path) as partial:
        try:
            save_file(tensors, str(partial), metadata={"bridgenet": text, CHECKSUMS: json.dumps(sums)})
        except SafetensorError as error:
            raise UserError(f"{path} could not be written: {error}") from None


def description(
    config: NetworkConfig, information: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The metadata saved with weights, as JSON types: `format`, `network`, `information`.

    Args:
        config: how the network was built.
        information: about its weights, added to the `known` information.

    Raises:
        UserError: weights with a recorded origin would get another licence.
    """
    known = known or {}
    kept = {**known, **information}
    if "origin" in known:
        kept["origin"] = known["origin"]
        if kept.get("licence") != (licence := known.get("licence")):
            raise UserError(
                f"these weights come from {kept['origin']}, licence {licence}: they cannot be given the licence "
                f"{kept.get('licence')}; leave it out"
            )
    return {"format": FORMAT, "network": config.as_dict(), "information": kept}


def read_own(path: Path, *, whole: bool = False) -> tuple[State, State, NetworkConfig, dict[str, Any]] | None:
    """Read weights, optimiser tensors, description and information of a file; None if it is another kind of file.

    Args:
        whole: verify the checksum of the optimiser's state, too, for which all of it is read.

    Raises:
        UserError: the file is damaged, or its description is.
    """
    if not is_safetensors(path):
        return None
    content, metadata = read_file(path)
    if "bridgenet" not in metadata:
        return None
    config, information = parse_description(metadata["bridgenet"], path)

    def part(prefix: str) -> State:
        return {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}

    model, optimizer = part("model."), part("optimizer.")
    parts = {"model": model, "optimizer": optimizer} if whole else {"model": model}
    _check_sums(metadata, parts, path)
    return model, optimizer, config, information


def _check_sums(metadata: Mapping[str, str], parts: Mapping[str, State], path: Path) -> None:
    if CHECKSUMS not in metadata:
        warnings.warn(f"{path} has no checksum, so that damage would go unnoticed", stacklevel=4)
        return
    try:
        sums = json.loads(metadata[CHECKSUMS])
        different = [part for part, state in parts.items() if sums[part] != checksum(metadata["bridgenet"], state)]
    except (ValueError, TypeError, KeyError, RecursionError):
        different = [CHECKSUMS]
    if different:
        raise UserError(
            f"{path} is damaged: the checksum of {' and '.join(different)} does not match; copy or download it again"
        )


def parse_description(text: str, path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """Parse the JSON text of :func:`description`, read from `path`. UserError if it is damaged or of another version."""
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
    """Read the network's description and the information (`{"step": …}`) of a file, without reading the weights."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            text = (opened.metadata() or {})["bridgenet"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a whole file of this project's ({error})") from None
    return parse_description(text, path)


def read_information(path: Path) -> dict[str, Any]:
    """Read the information saved with the weights in a file, see :func:`read_description`."""
    return read_description(path)[1]
