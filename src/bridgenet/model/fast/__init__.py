"""Faster ways of computing what the network's definition says, equal up to rounding.

The network's own modules compute as the papers write it down. What is faster is exchanged in from outside, module by module,
each sharing the parameters of the one whose place it takes. The tables :data:`ACCELERATED` and :data:`PREPARED`
say which in place of which: TFR is in :mod:`refiner`, up blocks and last convolutions in :mod:`decoders`, linear layers in
:mod:`linear`. Whoever uses a network calls

- :func:`accelerate_network`, for training and everything else: gradients are equal too, and names of weights stay;
- :func:`prepare_for_inference`, for nothing but inference: norms folded, kernels composed and split once; and on CPUs
  :func:`fuse_gelu` and :func:`pack`, weights in oneDNN's own order.
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
"""What is equal in training, too."""

PREPARED: Table = {
    ConvBNReLU: fold,
    QueryProjection: fold,
    decoders.UpsampledConv: decoders.PreparedUpsampledConv,
    refiner.SplitRefiner: refiner.prepared_refiner,
    decoders.FastConvHead: decoders.prepared_conv_head,
    decoders.FastDecoder: decoders.prepared_decoder,
}
"""What takes the place of accelerated modules for inference."""

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
"""Each derived from the module whose place it takes."""


def accelerate_network(network: Module) -> Module:
    """Have a network compute the faster way, in place, for training as well; to be called before it is wrapped or compiled.

    Results and gradients are equal up to rounding. Parameters stay the same objects under the same names, so optimisers
    and files of weights see no difference. The second call does nothing.

    Returns:
        The network.
    """
    exchange(network, ACCELERATED)
    return network


def prepare_for_inference(network: nn.Module) -> None:
    """Bring a network in evaluation mode into the form that only inference can have, in place, at its present weights.

    Parts of the user's own may have a method `prepare_for_inference()`, which is called.
    """
    accelerate_network(network)
    exchange(network, PREPARED)
    module: Any
    for module in [module for module in network.modules() if hasattr(module, "prepare_for_inference")]:
        allocator.release()
        module.prepare_for_inference()


@contextmanager
def by_definition(network: nn.Module) -> Iterator[None]:
    """Within it an accelerated network computes by its definition again, e.g. to be exported for images of any size."""
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
