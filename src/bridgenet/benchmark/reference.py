"""Known costs of the reference implementation: float32 on 2 CPU cores, batch 1, published image size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """The costs of a published network.

    Attributes:
        parameters: [million]
        gmac: multiply-adds of one image [billion].
        share: of G that its inference reaches, 2·GMAC / (time · G); on another machine.
        memory: peak of inference [GB]; on another machine.
    """

    parameters: float
    gmac: float
    share: float | None = None
    memory: float | None = None


REFERENCE = {
    "nyud-vit-base": Reference(221.9, 369, 0.62, 2.3),
    "nyud-vit-large": Reference(463.3, 628, 0.58, 3.2),
    "pascal-vit-large": Reference(479.4, 692),
    "nyud-internimage-base": Reference(236.6, 347),
    "nyud-internimage-large": Reference(399.3, 464, 0.54, 3.0),
    "pascal-internimage-large": Reference(421.8, 526, 0.56, 3.2),
}
"""By preset. Parameters and GMAC count weights, reductions and norms that this project's count leaves out."""

TRAINING = {"nyud-vit-base": Reference(221.9, 369, 0.73, 12.9)}
"""By preset: a training step with a batch of 2, three forward passes' arithmetic over time and G."""
