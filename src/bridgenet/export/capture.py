"""Capture a network as a graph of PyTorch operations, for images of any size if the backbone allows it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bridgenet.errors import UserError
from bridgenet.export.quiet import quiet
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.fast import by_definition

MOST = 8192
"""Largest side of images that the exported graph is specified for [pixels]."""


class Logits(nn.Module):
    """A network that returns only the logits, in task order."""

    def __init__(self, network: BridgeNet):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(image).logits.values())


def least_size(network: BridgeNet) -> int:
    """Smallest side of images of any size [pixels]; below it some map is one pixel wide, which needs another graph."""
    return 3 * network.backbone.base_divisor * network.backbone.size_divisor


def capture(network: BridgeNet, size: Sequence[int] | None) -> ExportedProgram:
    """Capture the graph from `image` (B, 3, H, W) to the logits of every task (B, n_t, H, W), computed by definition.

    Args:
        network: in evaluation mode, float32, on the CPU, not prepared for inference.
        size: the fixed (H, W) of images, multiples of the backbone's divisor; None for any multiples of at least
            :func:`least_size`. B is free in both cases.

    Raises:
        UserError: the exporter fails, e.g. because the backbone's graph depends on the size.
    """
    batch = Dim("batch", min=1, max=1024)
    if size is None:
        divisor = network.backbone.size_divisor
        least = least_size(network) // divisor
        rows, columns = (Dim(name, min=least, max=MOST // divisor) for name in ("rows", "columns"))
        example = (divisor * (2 * least + 5), divisor * (2 * least + 1))  # sizes that equal no other dimension
        shapes: dict[int, object] = {0: batch, 2: divisor * rows, 3: divisor * columns}
    else:
        example, shapes = (size[0], size[1]), {0: batch}
    try:
        with quiet(), torch.no_grad(), by_definition(network):
            program = torch.export.export(
                Logits(network), (torch.zeros(2, 3, *example),), dynamic_shapes=(shapes,), strict=False
            )
        for node in program.graph.nodes:  # files would hold the paths of this machine's source files
            node.meta.pop("stack_trace", None)
    except Exception as error:  # a backbone's code may raise anything
        what = "of any size" if size is None else f"of {size[0]}×{size[1]}"
        raise UserError(
            f"PyTorch cannot export this network for images {what} ({' '.join(str(error).split())[:300]})"
        ) from error
    return program
