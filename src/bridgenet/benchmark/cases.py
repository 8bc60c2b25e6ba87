"""Cases of a benchmark: a network on a device, with precision, way of computing, image size and batch size."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridgenet import config as configuration
from bridgenet.config.resolved import network_size
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError

OPTIMISED, PLAIN, COMPILED, CHECKPOINTED = "optimised", "plain", "compiled", "checkpointed"
WAYS = {"inference": (OPTIMISED, PLAIN, COMPILED), "training": (OPTIMISED, PLAIN, COMPILED, CHECKPOINTED)}
"""Ways of computing, by kind of case; several joined by + are one way.

`optimised` is what `bridgenet.load` gives, and what training does; `plain` computes everything as it is defined, with the C
library's allocator as it is; `compiled` is by `torch.compile`; `checkpointed` keeps only the input of the backbone's and the
refiner's blocks for the backward pass.
"""
PRECISIONS = ("float32", "bfloat16")
Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
        kind: `"inference"` or `"training"`.
        network: its name for people: the preset's, or the file that describes it.
        config: its settings.
        size: (height, width) of the images [pixels].
        way: see :data:`WAYS`.
        num_tasks: the first so many tasks of the data set, and copies of them beyond those it has; None: its own.
        runs: timed runs, after `warm_up` others.
        end_to_end: from an 8-bit picture to decoded maps, not from tensor to logits.
        side: of the square matrices whose product G is measured with.
    """

    kind: str
    network: str
    config: RunConfig
    size: Size
    batch: int = 1
    device: str = "cpu"
    precision: str = "float32"
    way: str = OPTIMISED
    num_tasks: int | None = None
    runs: int = 7
    warm_up: int = 1
    end_to_end: bool = False
    side: int = 2048

    @property
    def is_plain(self) -> bool:
        return PLAIN in self.way.split("+")

    @property
    def is_compiled(self) -> bool:
        return COMPILED in self.way.split("+")

    @property
    def is_checkpointed(self) -> bool:
        return CHECKPOINTED in self.way.split("+")

    @property
    def words(self) -> str:
        """A line of text."""
        words = f"{self.network}, {self.device}, {self.precision}, {self.way}, {self.size[0]}×{self.size[1]}, batch {self.batch}"
        words += ", end to end" if self.end_to_end else ""
        return words + (f", {self.num_tasks} task{'s' * (self.num_tasks > 1)}" if self.num_tasks else "")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"config": self.config.as_dict(), "size": list(self.size)}


def read_way(kind: str, text: str) -> str:
    """Parse a way of computing, see :data:`WAYS`. UserError for an unknown one."""
    words = text.split("+")
    known = WAYS[kind]
    for word in words:
        if word not in known:
            raise UserError(f"'{word}' is not a way of {kind} ({', '.join(known)}, or several joined by +)")
    chosen = [word for word in known if word in words and (word != OPTIMISED or len(words) == 1)]
    return "+".join(chosen)


def grid(
    kind: str,
    networks: Sequence[str],
    *,
    devices: Sequence[str] = ("cpu",),
    precisions: Sequence[str] = ("float32",),
    ways: Sequence[str] = (OPTIMISED,),
    batches: Sequence[int] = (1,),
    sizes: Sequence[Size] = (),
    **settings: Any,
) -> list[Case]:
    """All combinations. `networks` are presets, YAML files or folders of runs; without `sizes` each network has its own.

    UserError for an unknown network or way.
    """
    configs = {name: configuration.load(name) for name in networks}
    chosen = list(dict.fromkeys(read_way(kind, way) for way in ways))
    return [
        Case(
            kind=kind,
            network=name,
            config=config,
            device=device,
            precision=precision,
            way=way,
            batch=batch,
            size=size,
            **settings,
        )
        for name, config in configs.items()
        for device, precision, way, size, batch in itertools.product(
            devices, precisions, chosen, sizes or [network_size(config)], batches
        )
    ]
