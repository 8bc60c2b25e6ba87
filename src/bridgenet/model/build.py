"""Building networks from their descriptions (:mod:`bridgenet.model.description`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.extensions import in_words
from bridgenet.model.backbones import build_backbone
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.backbones.custom import check_maps
from bridgenet.model.backbones.licences import weights_information
from bridgenet.model.backbones.per_task import BackbonePerTask
from bridgenet.model.bridgenet import BridgeNet, Heads
from bridgenet.model.decoders import build_decoder, is_custom
from bridgenet.model.decoders.custom import check_decoded, custom_decoder
from bridgenet.model.description import NetworkConfig
from bridgenet.model.records import record, record_of

__all__ = ["NetworkConfig", "build_network", "try_custom_parts"]

_SETTING_OF = {"image_size": "data.size", "drop_path": "network.drop_path", "pretrained": "network.pretrained"}
BATCH = 2
"""Number of images in the check of custom parts."""


def build_network(config: NetworkConfig, *, pretrained: bool = False) -> BridgeNet:
    """Build a network with random weights, or a pretrained backbone, and register the tasks that its description defines.

    Args:
        pretrained: load the backbone's weights from timm (Hugging Face hub). For a local file see
            :func:`bridgenet.checkpoints.backbone.load_backbone`.

    Raises:
        UserError: the description is invalid, a task of the same name but another definition is registered, or the weights
            cannot be loaded.
    """
    if not config.num_outputs or min(config.num_outputs.values()) < 1:
        raise UserError(f"num_outputs is {config.num_outputs}; give at least one task, each with 1 channel or more")
    for definition in config.task_definitions.values():
        tasks.ensure(tasks.from_dict(definition))

    def make_backbone() -> Backbone:
        own: dict[str, Any] = {"image_size": config.image_size, "drop_path": config.drop_path, "pretrained": pretrained}
        given = config.backbone.arguments
        if twice := own.keys() & given:
            key = min(twice)
            raise UserError(f"network.backbone.{key} is no setting of a backbone, see {_SETTING_OF[key]}; leave it out")
        try:
            return build_backbone(config.backbone.name, **own, **given)
        except UserError as error:
            where = "" if "network." in str(error) else "network.backbone: "
            raise UserError(f"{where}{error}") from None

    backbone = make_backbone()
    name, options = config.decoder.name, config.decoder.arguments
    if is_custom(name):
        decoder: Any = custom_decoder(name, options, backbone.channels, config.num_outputs)
    else:
        decoder = build_decoder(name, options, backbone.channels, config.num_outputs, backbone.base_divisor)
    if getattr(decoder, "has_backbone_per_task", False):
        first, *others = config.num_outputs
        backbone = BackbonePerTask({first: backbone} | {task: make_backbone() for task in others})
    network = BridgeNet(backbone, decoder, Heads(decoder.out_channels, config.num_outputs))
    complete = replace(config, decoder=config.decoder.complete())
    record(network, complete, weights_information(config.backbone.name) if pretrained else None)
    return network


@torch.no_grad()
def try_custom_parts(network: BridgeNet) -> None:
    """Run a network with custom parts on two small images; UserError if their results are not as expected."""
    known = record_of(network)
    if known is None or not {"network.decoder", "network.backbone"} & set(known.config.custom_parts()):
        return
    was_training, divisor = network.training, network.backbone.size_divisor
    side = -(-64 // divisor) * divisor
    network.eval()
    where = f"network.backbone: {known.config.backbone.name}"
    try:
        maps = network.backbone(torch.zeros(BATCH, 3, side, side, device=next(network.parameters()).device))
        check_maps(where, maps, network.backbone.channels)
        where = f"network.decoder: {known.config.decoder.name}"
        decoder: Any = network.decoder
        check_decoded(where, decoder(maps), network.tasks, decoder.out_channels, BATCH)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where} fails on images of {side}×{side}: {in_words(error)}") from error
    finally:
        network.train(was_training)
