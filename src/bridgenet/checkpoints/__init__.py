"""Weights on disk: the authors' checkpoints, backbones' files, this project's own format, and the hub's folders.

`own` writes and reads this project's files, `reference` knows the authors' names, `detection` finds out which network such
weights belong to, `source` opens whatever a user names,
`convert` writes one form from another, `inspect` reports what a file is.
"""

from bridgenet.checkpoints.files import check_state_dict
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
    custom_modules,
    meta_network,
    open_reference,
    open_source,
    reference_names,
    weights_path,
)

__all__ = [
    "BEST",
    "HUB_WEIGHTS",
    "LAST",
    "Source",
    "check_state_dict",
    "custom_modules",
    "description",
    "meta_network",
    "open_reference",
    "open_source",
    "read_description",
    "read_information",
    "read_own",
    "reference_names",
    "save",
    "weights_path",
]
