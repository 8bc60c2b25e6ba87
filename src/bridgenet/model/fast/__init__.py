"""Faster implementations of the network's modules, equal to their definitions up to rounding.

The modules in :mod:`bridgenet.model` follow the papers. Faster modules replace them from outside, one by one, and share
their parameters. The tables :data:`ACCELERATED` and :data:`PREPARED` say which module replaces which.

- :func:`accelerate_network` is for training and everything else: gradients are equal too, and names of weights do not change;
- :func:`prepare_for_inference` is only for inference: norms are folded, kernels composed and split once; and on CPUs
  :func:`fuse_gelu` and :func:`pack` store weights in oneDNN's order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from bridgenet.model.backbones.internimage import DeformableConv
from bridgenet.model.decoders.bridgenet.decoder import BridgeNetDecoder, UpBlock
from bridgenet.model.decoders.bridgenet.tfr import TaskFeatureRefiner
from bridgenet.model.decoders.multi_task import ConvHead
from bridgenet.model.fast import decoders, refiner
from bridgenet.model.fast.exchange import Module, Table, exchange, exchanged
from bridgenet.model.fast.folding import fold
from bridgenet.model.fast.linear import PointwiseLinear, SoftmaxOfFew, pointwise_linear, with_softmax_of_few
from bridgenet.model.fast.packed import can_pack, fuse_gelu, pack
from bridgenet.model.layers import ConvBNReLU, QueryProjection
from bridgenet.system import allocator

__all__ = ["accelerate_network", "by_definition", "can_pack", "fuse_gelu", "pack", "prepare_for_inference"]

ACCELERATED: Table = {
    nn.Linear: pointwise_linear,
    DeformableConv: with_softmax_of_few,
    TaskFeatureRefiner: refiner.split_refiner,
    UpBlock: decoders.fast_up_block,
    ConvHead: decoders.fast_conv_head,
    BridgeNetDecoder: decoders.fast_decoder,
}
"""Replacements that are equal in training, too."""

PREPARED: Table = {
    ConvBNReLU: fold,
    QueryProjection: fold,
    decoders.UpsampledConv: decoders.PreparedUpsampledConv,
    refiner.SplitRefiner: refiner.prepared_refiner,
    decoders.FastConvHead: decoders.prepared_conv_head,
    decoders.FastDecoder: decoders.prepared_decoder,
}
"""Replacements of accelerated modules for inference."""

_FAST = (
    PointwiseLinear,
    SoftmaxOfFew,
    refiner.SplitBlock,
    refiner.SplitRefiner,
    decoders.UpsampledConv,
    decoders.FastUpBlock,
    decoders.FastConvHead,
    decoders.FastDecoder,
)
"""Each is derived from the class of the module that it replaces."""


def accelerate_network(network: Module) -> Module:
    """Accelerate a network in place, for training as well; call this before the network is wrapped or compiled.

    Results and gradients are equal up to rounding. Parameters remain the same objects with the same names, so optimisers
    and weight files are not affected. A second call has no effect.

    Returns:
        The network.
    """
    exchange(network, ACCELERATED)
    return network


def prepare_for_inference(network: nn.Module) -> None:
    """Prepare a network in evaluation mode for inference, in place, with its current weights.

    If a custom part has a method `prepare_for_inference()`, it is called.
    """
    accelerate_network(network)
    exchange(network, PREPARED)
    module: Any
    for module in [module for module in network.modules() if hasattr(module, "prepare_for_inference")]:
        allocator.release()
        module.prepare_for_inference()


@contextmanager
def by_definition(network: nn.Module) -> Iterator[None]:
    """A context in which an accelerated network computes by its definition, e.g. to export it for images of any size."""
    places = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if type(child) in _FAST
    ]
    for parent, name, child in places:
        definition: Any = type(child).__base__
        setattr(parent, name, exchanged(child, definition))
    try:
        yield
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
