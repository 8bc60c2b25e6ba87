"""The network that a run begins with: its description, and its initial weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridgenet.checkpoints import Source, open_source, read_description
from bridgenet.checkpoints.backbone import backbone_settings, load_backbone
from bridgenet.config.resolved import network_config
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import ANCESTRY, weights_information
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network, try_custom_parts
from bridgenet.model.description import NetworkConfig, Part
from bridgenet.model.fast import accelerate_network
from bridgenet.model.records import record, required_record
from bridgenet.model.transfer import Transfer, transfer_weights


def open_initial(config: RunConfig) -> Source | None:
    """Open the trained weights that a new run starts from; None if the settings name none."""
    if config.init_from is None:
        return None
    with _named("init_from"):
        return open_source(config.init_from)


def describe_network(config: RunConfig, last: Path | None, initial: Source | None = None) -> NetworkConfig:
    """The description in `last`, else the one that follows from the settings and the initial weights."""
    if last is not None:
        return read_description(last)[0]
    description = network_config(config)
    if checkpoint := config.network.backbone_checkpoint:
        with _named("network.backbone_checkpoint"):
            known = backbone_settings(description.backbone.name, checkpoint)
        description.backbone = Part(known | description.backbone)
    if initial is not None and initial.config.backbone.name == description.backbone.name:
        description.backbone = Part(initial.config.backbone | description.backbone)
    return description


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Let the errors of the block begin with the setting that they are about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    except OSError as error:  # e.g. a name that is too long
        raise UserError(f"{key}: {error.strerror}: {error.filename}") from None


def make_network(
    config: RunConfig, description: NetworkConfig, initial: Source | None = None, *, is_new: bool
) -> tuple[BridgeNet, Transfer | None]:
    """Build the network; also returns what was taken from the `initial` weights.

    If `is_new` its backbone is pretrained as configured; else the run's weights are loaded later.
    """
    settings = config.network
    checkpoint = settings.backbone_checkpoint if is_new else None
    pretrained = settings.pretrained and is_new and not checkpoint
    transferred = None
    if initial is not None:
        network, transferred = start_from(initial, description, pretrained=pretrained)
    else:
        network = build_network(description, pretrained=pretrained)
    if checkpoint:
        with _named("network.backbone_checkpoint"):
            load_backbone(network.backbone, checkpoint)
        record(network, description, weights_information(description.backbone.name, checkpoint))
    try_custom_parts(network)
    if settings.freeze_backbone:
        network.backbone.freeze()
    network.backbone.set_checkpointing(settings.checkpoint_backbone)
    if settings.checkpoint_decoder:
        decoder: Any = network.decoder
        if not hasattr(decoder, "set_checkpointing"):
            raise UserError(
                f"network.checkpoint_decoder: {type(decoder).__name__} has no set_checkpointing(); leave it out"
            )
        decoder.set_checkpointing()
    return accelerate_network(network), transferred


def start_from(initial: Source, description: NetworkConfig, *, pretrained: bool) -> tuple[BridgeNet, Transfer]:
    """Build a network that starts from trained weights; a backbone that they do not fill may be `pretrained`."""
    trained = initial.network().state_dict()
    network = build_network(description)
    with _named(f"init_from: {initial.path}"):
        transferred = transfer_weights(network, description, trained, initial.config)
    if pretrained and not transferred.has_backbone:
        network = build_network(description, pretrained=True)
        transferred = transfer_weights(network, description, trained, initial.config)
    known = required_record(network)
    information = {key: initial.information[key] for key in ANCESTRY if key in initial.information}
    if not transferred.has_backbone:
        information |= known.information
    information["initial_weights"] = f"{initial.path.name} (digest {initial.digest[:16]})"
    record(network, known.config, information)
    return network, transferred
