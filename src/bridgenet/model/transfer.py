"""Start a network from the weights of another one: what means the same in both is taken, everything else stays new.

Weights mean the same if they have the same name and shape. Some weights have an axis of classes (heads) or of tasks (the
layers of BridgeNet's decoder that read all tasks): of these, the parts of the classes and tasks that both networks have are
taken, by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.model.backbones.per_task import BackbonePerTask
from bridgenet.model.backbones.timm_backbones import PlainTransformer
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.description import NetworkConfig

Pairs = list[tuple[int, int]]
"""Positions along an axis of the new weight, each with the position of the same thing in the source."""

_PER_TASK = r"of_task|preliminary|production|fusion|intermediate_heads|mix|up|chains|project|projections|task_heads"
_TASK = re.compile(rf"(?:^heads|\.(?:{_PER_TASK}))\.([^.]+)\.")
"""Finds the task of a weight that belongs to one task."""
_CLASSES = re.compile(r"^(?:heads|decoder\.tpp\.intermediate_heads)\.[^.]+\.(?:weight|bias)$")
"""Weights whose first axis is a task's logits."""
_MIX = re.compile(r"^decoder\.tpp\.mix\.[^.]+\.weight$")
"""Weights whose second axis is a feature's channels, followed by a task's logits."""
_FUSE = re.compile(r"^decoder\.tpp\.fusion\.[^.]+\.fuse\.weight$")
"""Weights whose second axis is the attention heads of all tasks."""
_NORM = re.compile(r"^decoder\.stages\.\d+\.norm\.(?:weight|bias)$")
"""Weights whose axis is the channels of all tasks."""
_POSITIONS = "backbone.model.pos_embed"
"""Position embeddings of plain transformers, (1, prefix tokens + h·w, C), without the prefix in some models."""


@dataclass
class Transfer:
    """What was taken from the source.

    Attributes:
        taken: names of the weights that were taken whole.
        partly: names of the weights of which the parts of common classes and tasks were taken.
        new: names of the weights that keep their initial values.
        left: names of the weights of the source that were not used.
        notes: sentences on backbone, decoder and classes.
    """

    taken: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_backbone(self) -> bool:
        """Whether the backbone's weights were taken."""
        return any(key.startswith("backbone.") for key in self.taken)

    def table(self) -> str:
        """A table of the numbers of weights by part of the network, and the notes below it."""
        groups = {"taken": self.taken, "in part": self.partly, "new": self.new, "left over": self.left}
        parts = list(dict.fromkeys(_part(key) for keys in groups.values() for key in keys))
        width = max(map(len, parts))
        lines = [" " * width + "".join(f"{title:>11}" for title in groups)]
        for part in parts:
            counts = [sum(_part(key) == part for key in keys) for keys in groups.values()]
            lines.append(f"{part:{width}}" + "".join(f"{count or '–':>11}" for count in counts))
        return "\n".join(lines + self.notes)


def transfer_weights(
    network: BridgeNet, config: NetworkConfig, state: Mapping[str, Tensor], source: NetworkConfig
) -> Transfer:
    """Copy into a network what means the same in the weights of another one.

    The backbone is taken whole or not at all; position embeddings of another grid are resampled. Decoder and heads are taken
    if the decoders are of the same class. Attention that is fused from the patterns of all tasks starts without those of
    added tasks.

    Args:
        network: the new network, which is changed in place.
        config: how it was built.
        state: weights of the other network by name.
        source: how that network was built.

    Returns:
        What was taken.

    Raises:
        UserError: nothing fits.
    """
    found = Transfer()
    own = network.state_dict()
    given = _backbone(network, own, state, source.image_size)
    if not given:
        found.notes.append(f"backbone: {config.backbone.name} differs from {source.backbone.name} and starts anew")
    if config.decoder.name == source.decoder.name:
        given |= {key: value for key, value in state.items() if not key.startswith("backbone.")}
    else:
        found.notes.append(f"decoder: {config.decoder.name} is not {source.decoder.name}; decoder and heads start anew")
    axes = _Axes(config, source)
    with torch.no_grad():
        for key, value in own.items():
            share = _copy(key, value, given[key], axes) if key in given and value.ndim == given[key].ndim else 0.0
            (found.taken if share == 1 else found.partly if share else found.new).append(key)
    used = {*found.taken, *found.partly}
    found.left = [key for key in state if key not in used and not (key.startswith("backbone.") and found.has_backbone)]
    if all(key.endswith("num_batches_tracked") for key in used):
        raise UserError(
            f"nothing fits: the weights are of the backbone {source.backbone.name} with the decoder {source.decoder.name}, "
            f"the network has {config.backbone.name} with {config.decoder.name}"
        )
    found.notes += axes.notes
    return found


class _Axes:
    """Which positions of the axes of tasks and classes mean the same in two networks."""

    def __init__(self, config: NetworkConfig, source: NetworkConfig) -> None:
        self.new, self.old = list(config.num_outputs), list(source.num_outputs)
        self.notes: list[str] = []
        self.outputs: dict[str, Pairs] = {}
        for task in self.new:
            if task not in self.old:
                self.notes.append(f"{task}: a new task")
            elif _kind(config, task) != _kind(source, task):
                self.notes.append(f"{task}: {_kind(config, task)}, was {_kind(source, task)}: a new task")
                self.old[self.old.index(task)] = ""  # its place in the axes of tasks stays
            else:
                self.outputs[task] = self._outputs(task, config, source)
        if dropped := [task for task in source.num_outputs if task not in self.new]:
            self.notes.append(f"{', '.join(dropped)}: left out")
        self.sizes = config.num_outputs, source.num_outputs

    def along(self, key: str, value: Tensor, given: Tensor) -> tuple[int, Pairs] | None:
        """The axis of classes or tasks of a weight, and its positions that mean the same; None if it has no such axis."""
        task = _TASK.search(key)
        if _CLASSES.match(key) and task:
            return 0, self.outputs[task[1]]
        if _MIX.match(key) and task:
            width, before = (x.shape[1] - sizes[task[1]] for x, sizes in zip((value, given), self.sizes))
            logits = [(width + new, width + old) for new, old in self.outputs[task[1]]]
            return 1, _equal(width) + logits if width == before else []
        if _FUSE.match(key) or _NORM.match(key):
            axis = 1 if _FUSE.match(key) else 0
            block, before = value.shape[axis] // len(self.new), given.shape[axis] // len(self.old)
            places = [(self.new.index(name) * block, self.old.index(name) * block) for name in self.outputs]
            return axis, [(new + i, old + i) for new, old in places for i in range(block)] if block == before else []
        return None

    def _outputs(self, task: str, config: NetworkConfig, source: NetworkConfig) -> Pairs:
        """The logits of a task that mean the same: by class names, without names all of them if their number is equal."""
        count, before = config.num_outputs[task], source.num_outputs[task]
        names, known = config.class_names.get(task), source.class_names.get(task)
        if names and known:
            pairs = [(index, known.index(name)) for index, name in enumerate(names) if name in known]
            if fresh := [name for name in names if name not in known]:
                self.notes.append(f"{task}: {len(pairs)} of {count} classes taken; new: {', '.join(fresh)}")
            return pairs
        if count == before:
            return _equal(count)
        self.notes.append(
            f"{task}: {count} outputs, were {before}, and no class names tell which are equal: new outputs"
        )
        return []


def _equal(count: int) -> Pairs:
    return [(index, index) for index in range(count)]


def _kind(config: NetworkConfig, task: str) -> str:
    """The name of a task's kind."""
    definition = config.task_definitions.get(task)
    return str(definition.get("kind")) if definition else tasks.get(task).kind.name


def _part(key: str) -> str:
    """The part of the network that a weight belongs to, for the table."""
    if key.startswith("backbone."):
        return "backbone"
    task = _TASK.search(key)
    return task[1] if task else "all tasks"


def _backbone(
    network: BridgeNet, own: Mapping[str, Tensor], state: Mapping[str, Tensor], image_size: tuple[int, int]
) -> dict[str, Tensor]:
    """The weights of the source, trained on images of (H, W), that fill the network's backbone; empty unless they do."""
    given = {key: value for key, value in state.items() if key.startswith("backbone.")}
    per_task = isinstance(network.backbone, BackbonePerTask)
    wanted = {key: value for key, value in own.items() if key.startswith("backbone.")}
    if per_task and not any(key.startswith("backbone.of_task.") for key in given):
        given = {
            key.replace("backbone.", f"backbone.of_task.{task}.", 1): value
            for task in network.tasks
            for key, value in given.items()
        }
    elif per_task:  # the backbones of added tasks start anew
        known = {key.split(".")[2] for key in given}
        wanted = {key: value for key, value in wanted.items() if key.split(".")[2] in known}
    elif isinstance(network.backbone, PlainTransformer):
        _resample(network.backbone, given, image_size)
    fits = wanted and all(key in given and given[key].shape == value.shape for key, value in wanted.items())
    return given if fits else {}


def _resample(backbone: PlainTransformer, given: dict[str, Tensor], image_size: tuple[int, int]) -> None:
    """Resample the position embeddings of a network for images of (H, W) [pixels] to this transformer's grid."""
    embeddings, model = given.get(_POSITIONS), backbone.model
    if embeddings is None or getattr(model, "pos_embed", None) is None or embeddings.shape == model.pos_embed.shape:
        return
    before = [-(-side // backbone.patch_size) for side in image_size]
    prefix = embeddings.shape[1] - math.prod(before)
    if prefix in (0, model.num_prefix_tokens):  # else it is another transformer
        given[_POSITIONS] = resample_abs_pos_embed(
            embeddings, list(model.patch_embed.grid_size), before, num_prefix_tokens=prefix
        )


def _copy(key: str, value: Tensor, given: Tensor, axes: _Axes) -> float:
    """Copy what means the same into a weight; returns which share of the weight that is."""
    task = _TASK.search(key)
    if task and not key.startswith("backbone.") and task[1] not in axes.outputs:
        return 0.0
    along = axes.along(key, value, given)
    if along is None:
        if value.shape != given.shape:
            return 0.0
        value.copy_(given)
        return 1.0
    axis, pairs = along
    shapes = [[*x.shape[:axis], *x.shape[axis + 1 :]] for x in (value, given)]
    if not pairs or shapes[0] != shapes[1]:
        return 0.0
    if _FUSE.match(key):
        value.zero_()
    new, old = (torch.tensor(positions) for positions in zip(*pairs))
    value.index_copy_(axis, new, given.index_select(axis, old).to(value.dtype))
    return len(pairs) / value.shape[axis]
