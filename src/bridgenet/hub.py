"""The Hugging Face hub, by its usual mixin: folders of weights, their description and a model card.

`model.safetensors` is this project's own format and loads alone; `config.json` is the same description to be read, and
`README.md` the model card. Nothing else is ever downloaded, and nothing in them can run code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from huggingface_hub import (
    ModelCard,
    ModelCardData,
    ModelHubMixin,
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

from bridgenet.errors import UserError, nearest
from bridgenet.extensions import module_of
from bridgenet.system.files import write_atomically

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_FILE_SUFFIXES = (".pth", ".tar", ".pt", ".safetensors", ".ckpt", ".bin", ".yaml", ".json")
_STATED = ("license", "data", "scores")


def licence_id(text: str) -> str:
    """A licence as the hub writes it: `CC BY-NC 4.0` → `cc-by-nc-4.0`."""
    return "-".join(str(text).lower().split())


def is_hub_name(text: str) -> bool:
    """Whether this may be the name of a model on the hub, `owner/name`."""
    local = Path(text).parent.is_dir()  # runs/nyu for runs/nyud
    return _NAME.fullmatch(text) is not None and not text.endswith(_FILE_SUFFIXES) and not local


def download(name: str, **options: Any) -> Path:
    """The local path of the weights of `owner/name`, downloaded unless they are in the hub's cache already.

    Args:
        options: of `huggingface_hub.hf_hub_download`, e.g. `revision`, `token`, `local_files_only`.

    Raises:
        UserError: no such model, no weights of this project's in it, or no way to get them.
    """
    from bridgenet.checkpoints import HUB_WEIGHTS

    what = f"no weights at {name} here"
    asked = {key: value for key, value in options.items() if key == "revision"}
    unreachable = "it is offline" if options.get("local_files_only") else ""
    try:
        if not unreachable:
            try:  # once: the download itself would ask six times, for half a minute, where there is no connection
                get_hf_file_metadata(hf_hub_url(name, HUB_WEIGHTS, **asked), token=options.get("token"))
            except (RepositoryNotFoundError, EntryNotFoundError, RevisionNotFoundError):
                raise
            except Exception as error:  # what the hub's HTTP library raises differs from version to version
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


class HubMixin(ModelHubMixin, library_name="bridgenet", tags=["multi-task-learning", "dense-prediction"]):
    """`save_pretrained`, `from_pretrained` and `push_to_hub` for a network made of ready modules."""

    config: Any
    information: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # The usual mixin keeps the constructor's arguments as the configuration; here they are modules.
        return super(ModelHubMixin, cls).__new__(cls)

    def save_pretrained(
        self, save_directory: str | Path, *, model_card_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> str | None:
        """Write `model.safetensors`, `config.json` and, unless there is one, `README.md` (the model card) into a folder.

        Args:
            save_directory: made if need be.
            model_card_kwargs: what you state of the weights; it is recorded with them. `license`, an identifier of the
                hub's, e.g. `"mit"`; `data`, a sentence that says what the network was trained on; `scores`,
                `{task: {metric: value}}`. Weights converted from the authors' keep the authors' licence.
            kwargs: the hub's own, see `huggingface_hub.ModelHubMixin.save_pretrained`.

        Raises:
            UserError: the network has no description, or another licence is asked for.
        """
        self._state(model_card_kwargs)
        self._check_card(Path(save_directory) / "README.md")
        return super().save_pretrained(save_directory, **kwargs)

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> str:
        """Upload what :meth:`save_pretrained` writes; returns the commit's address.

        Args:
            repo_id: `owner/name`; made if need be.
            model_card_kwargs: see :meth:`save_pretrained`.
            kwargs: the hub's own, e.g. `private`, `token`, see `huggingface_hub.ModelHubMixin.push_to_hub`.

        Raises:
            UserError: as :meth:`save_pretrained`, before anything is sent; the hub cannot be reached or refuses.
        """
        self._state(model_card_kwargs)
        try:
            return super().push_to_hub(repo_id, **kwargs)
        except UserError:
            raise
        except Exception as error:  # see download
            raise UserError(
                f"{repo_id} could not be pushed to the Hugging Face hub: {' '.join(str(error).split())}. Writing needs a "
                "connection and a token (hf auth login)"
            ) from None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> Any:
        """A network in evaluation mode from a folder, or from the hub (`owner/name`); see :func:`bridgenet.load`.

        Args:
            model_kwargs: `device`, by default the CPU; `trust`.
        """
        # Not the usual mixin's: it would fetch config.json as well and hand its entries to the constructor.
        return cls._from_pretrained(
            model_id=str(pretrained_model_name_or_path),
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            **model_kwargs,
        )

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, device: str = "cpu", trust: Collection[str] = (), **options: Any
    ) -> Any:
        from bridgenet.checkpoints import load

        path = model_id if Path(model_id).exists() else download(model_id, **options)
        return load(path, device=device, trust=trust)

    def _save_pretrained(self, save_directory: Path) -> None:
        from bridgenet.checkpoints import HUB_WEIGHTS, description, save

        save(self, save_directory / HUB_WEIGHTS)  # type: ignore[arg-type]
        text = json.dumps(description(self), indent=2)  # type: ignore[arg-type]
        write_atomically(save_directory / "config.json", text + "\n")

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The model card, from what is recorded with the weights; nothing in it is guessed."""
        from bridgenet import data, tasks
        from bridgenet.tasks.scores import in_words

        config, information = self.config, self.information
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
            ModelCardData(
                license=information.get("licence"),
                library_name=self._hub_mixin_info.model_card_data.library_name,
                tags=[*(self._hub_mixin_info.model_card_data.tags or []), *config.num_outputs],
            ),
            template_str=(resources.files("bridgenet.checkpoints") / "model_card.md").read_text(encoding="utf-8"),
            network=config,
            modules=sorted({module_of(path) for path in config.own_parts().values()}),
            tasks=[(task.title, task.name, config.num_outputs[task.name]) for task in known],
            information=information,
            parameters=f"{sum(x.numel() for x in self.parameters()) / 1e6:.1f}",  # type: ignore[attr-defined]
            layout=data.info(config.dataset).title if config.dataset in data.DATASETS else None,
            rows=rows,
        )

    def _check_card(self, path: Path) -> None:
        """UserError if a model card that is there, and stays, states another licence than the weights have."""
        if not path.is_file():
            return
        try:
            stated = ModelCard.load(path).data.get("license")
        except ValueError:  # its header is no YAML
            stated = None
        if stated != (licence := self.information.get("licence")):
            raise UserError(
                f"{path} states the licence {stated}, the weights have {licence}; correct or delete it, or choose another folder"
            )

    def _state(self, stated: dict[str, Any] | None) -> None:
        """Record what the user states of the weights; UserError if it is unknown, or contradicts their origin."""
        from bridgenet.checkpoints import description

        stated = dict(stated or {})
        if unknown := [key for key in stated if key not in _STATED]:
            raise UserError(
                f"model_card_kwargs has no {unknown[0]}{nearest(unknown[0], _STATED)} (it has: {', '.join(_STATED)})"
            )
        if "scores" in stated:
            stated["scores_from"] = "stated by whoever saved the weights"
        if (licence := stated.pop("license", None)) is not None:
            stated["licence"] = licence_id(licence)
        self.information = description(self, stated)["information"]  # type: ignore[arg-type]
