"""A network as one graph of PyTorch's operations, images of any size if its backbone allows it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.fast import by_definition

MOST = 8192
"""Of the sides of images [pixels], and so of what is promised to the exporter."""


class Logits(nn.Module):
    """The network, giving logits alone, in task order."""

    def __init__(self, network: BridgeNet):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(image).logits.values())


def least_size(network: BridgeNet) -> int:
    """Of images of any size: below it some map is a single pixel wide, which PyTorch makes another graph of."""
    return 3 * network.backbone.base_divisor * network.backbone.size_divisor


def capture(network: BridgeNet, size: Sequence[int] | None) -> ExportedProgram:
    """The graph: `image` (B, 3, H, W) → logits of every task (B, n_t, H, W), computed by definition.

    Args:
        network: in evaluation mode, float32, on the CPU, not made ready for inference.
        size: the only (H, W) that the graph shall take, multiples of the backbone's divisor; or None, for any multiples of it
            from :func:`least_size` on. B is free in both.

    Raises:
        UserError: the exporter cannot do it, e.g. as the backbone's graph depends on the size.
    """
    batch = Dim("batch", min=1, max=1024)
    if size is None:
        divisor = network.backbone.size_divisor
        least = least_size(network) // divisor
        rows, columns = (Dim(name, min=least, max=MOST // divisor) for name in ("rows", "columns"))
        example = (divisor * (2 * least + 5), divisor * (2 * least + 1))  # sizes that coincide with nothing
        shapes: dict[int, object] = {0: batch, 2: divisor * rows, 3: divisor * columns}
    else:
        example, shapes = (size[0], size[1]), {0: batch}
    try:
        with quiet(), torch.no_grad(), by_definition(network):
            program = torch.export.export(
                Logits(network), (torch.zeros(2, 3, *example),), dynamic_shapes=(shapes,), strict=False
            )
    except Exception as error:  # a backbone's code is no closed list of what may go wrong
        what = "of any size" if size is None else f"of {size[0]}×{size[1]}"
        raise UserError(
            f"PyTorch cannot export this network for images {what} ({' '.join(str(error).split())[:300]})"
        ) from error
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' notes to their developers."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
