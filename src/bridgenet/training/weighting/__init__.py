"""How the tasks' losses are weighted: by the published weights, or in one of the field's usual other ways, a file each.

The loss of a task is that of its final logits plus `intermediate_weight` times that of its intermediate ones, as published;
the ways differ in what comes before it.
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
"""The ways by the name that `loss.weighting` gives."""

__all__ = ["WEIGHTINGS", "DynamicWeightAverage", "LossWeighting", "PCGrad", "Uncertainty"]
