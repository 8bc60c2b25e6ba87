"""Weights on disk: the authors' checkpoints, backbones' files, this project's own format, and the hub's folders.

`own` writes and reads this project's files, `reference` knows the authors' names, `source` opens whatever a user names,
`convert` writes one form from another, `inspect` tells what a file is.
"""

from bridgenet.checkpoints.files import fit
from bridgenet.checkpoints.own import (
    BEST,
    HUB_WEIGHTS,
    LAST,
    description,
    read_description,
    read_information,
    read_own,
    save,
)
from bridgenet.checkpoints.source import (
    Source,
    open_reference,
    open_source,
    own_modules,
    reference_names,
    sketch,
    weights_path,
)

__all__ = [
    "BEST",
    "HUB_WEIGHTS",
    "LAST",
    "Source",
    "description",
    "fit",
    "open_reference",
    "open_source",
    "own_modules",
    "read_description",
    "read_information",
    "read_own",
    "reference_names",
    "save",
    "sketch",
    "weights_path",
]
