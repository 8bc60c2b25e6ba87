"""`save_pretrained` and `push_to_hub`, by the Hugging Face hub's usual mixin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard, ModelHubMixin

from bridgenet.checkpoints.hub import LIBRARY, TAGS, check_card, model_card, stated_information, write_weights
from bridgenet.errors import UserError

if TYPE_CHECKING:
    from bridgenet.model.bridgenet import BridgeNet


class HubMixin(ModelHubMixin, library_name=LIBRARY, tags=list(TAGS)):
    """Hub methods for a model with a network, `config` and `information`."""

    config: Any
    information: Any

    if TYPE_CHECKING:

        def _plain(self) -> BridgeNet: ...

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # ModelHubMixin would store the constructor's arguments as the configuration, but here they are modules.
        return super(ModelHubMixin, cls).__new__(cls)

    def save_pretrained(
        self, save_directory: str | Path, *, model_card_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> str | None:
        """Write `model.safetensors`, `config.json` and, unless there is one, `README.md` (the model card) into a folder.

        Args:
            save_directory: created if necessary.
            model_card_kwargs: statements about the weights, recorded with them: `license`, an identifier of the hub, e.g.
                `"mit"`; `data`, a sentence about the training data; `scores`, `{task: {metric: value}}`. Weights
                converted from the authors' keep the authors' licence.
            kwargs: arguments of the hub's mixin, see `huggingface_hub.ModelHubMixin.save_pretrained`.

        Raises:
            UserError: another licence is requested, or an existing model card states another one.
        """
        self.information = stated_information(self.config, self.information, model_card_kwargs)
        check_card(Path(save_directory) / "README.md", self.information)
        return super().save_pretrained(save_directory, **kwargs)

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> str:
        """Upload what :meth:`save_pretrained` writes, and return the address of the commit.

        Args:
            repo_id: `owner/name`; created if necessary.
            model_card_kwargs: see :meth:`save_pretrained`.
            kwargs: arguments of the hub's mixin, e.g. `private`, `token`, see `huggingface_hub.ModelHubMixin.push_to_hub`.

        Raises:
            UserError: as :meth:`save_pretrained`, before anything is sent; or the hub cannot be reached or refuses.
        """
        self.information = stated_information(self.config, self.information, model_card_kwargs)
        try:
            return super().push_to_hub(repo_id, **kwargs)
        except UserError:
            raise
        except Exception as error:  # the exceptions of the hub's HTTP library differ between versions
            raise UserError(
                f"{repo_id} could not be pushed to the Hugging Face hub: {' '.join(str(error).split())}. Writing needs a "
                "connection and a token (hf auth login)"
            ) from None

    def _save_pretrained(self, save_directory: Path) -> None:
        write_weights(save_directory, self._plain(), self.config, self.information)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The model card; it states only what is recorded with the weights."""
        return model_card(self.config, self.information, sum(x.numel() for x in self._plain().parameters()))
