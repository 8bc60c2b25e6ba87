"""Loss weighting: the published fixed weights, or one of the usual alternatives, one per file.

The loss of a task is that of its final logits plus `intermediate_weight` times that of its intermediate ones, as published;
the ways of weighting differ in the factor of each task.
"""

from bridgenet.training.weighting.base import LossWeighting
from bridgenet.training.weighting.dynamic import DynamicWeightAverage
from bridgenet.training.weighting.pcgrad import PCGrad
from bridgenet.training.weighting.uncertainty import Uncertainty

WEIGHTINGS: dict[str, type[LossWeighting]] = {
    "fixed": LossWeighting,
    "uncertainty": Uncertainty,
    "dwa": DynamicWeightAverage,
    "pcgrad": PCGrad,
}
"""Ways of weighting by their name in `loss.weighting`."""

__all__ = ["WEIGHTINGS", "DynamicWeightAverage", "LossWeighting", "PCGrad", "Uncertainty"]
