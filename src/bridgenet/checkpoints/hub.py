"""The Hugging Face hub: names, downloads, and folders of weights with their description and a model card.

`model.safetensors` is in this project's own format and sufficient to load a network; `config.json` repeats its description
for readers, and `README.md` is the model card. Only the weights are ever downloaded, and they cannot run code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import (
    ModelCard,
    ModelCardData,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bridgenet import data, tasks
from bridgenet.checkpoints.own import HUB_WEIGHTS, description, save
from bridgenet.errors import UserError, nearest
from bridgenet.extensions import module_of
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.description import NetworkConfig
from bridgenet.system.files import write_atomically
from bridgenet.tasks.scores import in_words

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_FILE_SUFFIXES = (".pth", ".tar", ".pt", ".safetensors", ".ckpt", ".bin", ".yaml", ".json")
_STATED = ("license", "data", "scores")
LIBRARY, TAGS = "bridgenet", ("multi-task-learning", "dense-prediction")


def licence_id(text: str) -> str:
    """A licence in the hub's notation: `CC BY-NC 4.0` → `cc-by-nc-4.0`."""
    return "-".join(str(text).lower().split())


def is_hub_name(text: str) -> bool:
    """Whether a text may be the name of a model on the hub, `owner/name`."""
    local = Path(text).parent.is_dir()  # runs/nyu for runs/nyud
    return _NAME.fullmatch(text) is not None and not text.endswith(_FILE_SUFFIXES) and not local


def download(name: str, **options: Any) -> Path:
    """Download the weights of `owner/name`, unless they are in the hub's cache, and return their local path.

    Args:
        options: of `huggingface_hub.hf_hub_download`, e.g. `revision`, `token`, `local_files_only`.

    Raises:
        UserError: there is no such model, it has no weights in this project's format, or they cannot be downloaded.
    """
    what = f"no weights at {name} here"
    asked = {key: value for key, value in options.items() if key == "revision"}
    unreachable = "it is offline" if options.get("local_files_only") else ""
    try:
        if not unreachable:
            try:  # a single request: without a connection the download itself would retry for half a minute
                get_hf_file_metadata(hf_hub_url(name, HUB_WEIGHTS, **asked), token=options.get("token"))
            except (RepositoryNotFoundError, EntryNotFoundError, RevisionNotFoundError):
                raise
            except Exception as error:  # the exceptions of the hub's HTTP library differ between versions
                unreachable = " ".join(str(error).split())
        return Path(hf_hub_download(name, HUB_WEIGHTS, **{**options, "local_files_only": bool(unreachable)}))
    except RepositoryNotFoundError:
        raise UserError(
            f"{what}, and no model of that name on the Hugging Face hub (or it is private: hf auth login)"
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"the model {name} on the Hugging Face hub has no revision {options.get('revision')}") from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"{what}, and the Hugging Face hub cannot be asked ({unreachable}). Give the path of a run folder, a weight file, "
            "or a folder downloaded from the hub"
        ) from None
    except EntryNotFoundError:
        raise UserError(
            f"the model {name} on the Hugging Face hub has no {HUB_WEIGHTS}: it is not one of this project's. Download its "
            "weight file and give its path"
        ) from None
    except Exception as error:  # see above
        raise UserError(f"{what}, and the Hugging Face hub answers: {' '.join(str(error).split())}") from None


def write_folder(folder: Path, network: BridgeNet, config: NetworkConfig, information: Mapping[str, Any]) -> None:
    """Write `model.safetensors`, `config.json` and `README.md`, the model card, into an existing folder."""
    write_weights(folder, network, config, information)
    card = model_card(config, information, sum(x.numel() for x in network.parameters()))
    write_atomically(folder / "README.md", str(card))


def write_weights(folder: Path, network: BridgeNet, config: NetworkConfig, information: Mapping[str, Any]) -> None:
    """Write `model.safetensors`, and `config.json` with the same description for readers."""
    save(network, folder / HUB_WEIGHTS, config=config, information=information)
    text = json.dumps(description(config, information), indent=2)
    write_atomically(folder / "config.json", text + "\n")


def model_card(config: NetworkConfig, information: Mapping[str, Any], num_parameters: int) -> ModelCard:
    """The model card; it states only what is recorded with the weights."""
    known = [tasks.get(name) for name in config.num_outputs if name in tasks.names()]
    scores = information.get("scores")
    recorded = {
        task: scores[task.name]
        for task in known
        if isinstance(scores, Mapping) and isinstance(scores.get(task.name), Mapping)
    }
    rows = []
    for task, values in recorded.items():
        headline = task.headline_in(values)
        if isinstance(value := values.get(headline.key), int | float):
            rows.append((task.title, headline.heading, in_words(headline, value)))
    return ModelCard.from_template(
        ModelCardData(license=information.get("licence"), library_name=LIBRARY, tags=[*TAGS, *config.num_outputs]),
        template_str=(resources.files("bridgenet.checkpoints") / "model_card.md").read_text(encoding="utf-8"),
        network=config,
        modules=sorted({module_of(path) for path in config.custom_parts().values()}),
        tasks=[(task.title, task.name, config.num_outputs[task.name]) for task in known],
        information=information,
        parameters=f"{num_parameters / 1e6:.1f}",
        layout=data.info(config.dataset).title if config.dataset in data.DATASETS else None,
        rows=rows,
    )


def check_card(path: Path, information: Mapping[str, Any]) -> None:
    """UserError if an existing model card, which is not overwritten, states another licence than that of the weights."""
    if not path.is_file():
        return
    try:
        stated = ModelCard.load(path).data.get("license")
    except ValueError:  # its header is not YAML
        stated = None
    if stated != (licence := information.get("licence")):
        raise UserError(
            f"{path} states the licence {stated}, the weights have {licence}; correct or delete it, or choose another folder"
        )


def stated_information(
    config: NetworkConfig, information: Mapping[str, Any], stated: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The information to record with weights, including what the user states about them: `license`, `data`, `scores`.

    Raises:
        UserError: another key is stated, or the licence contradicts the weights' origin.
    """
    values = dict(stated or {})
    if unknown := [key for key in values if key not in _STATED]:
        raise UserError(
            f"model_card_kwargs has no {unknown[0]}{nearest(unknown[0], _STATED)} (it has: {', '.join(_STATED)})"
        )
    if "scores" in values:
        values["scores_from"] = "stated by whoever saved the weights"
    if (licence := values.pop("license", None)) is not None:
        values["licence"] = licence_id(licence)
    return description(config, values, information)["information"]
