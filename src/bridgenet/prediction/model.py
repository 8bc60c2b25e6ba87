"""The model that `bridgenet.load` returns: a network that predicts pictures, and can be saved and trained at any time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bridgenet.checkpoints import Source, description, open_source
from bridgenet.checkpoints import save as save_network
from bridgenet.checkpoints.hub import download
from bridgenet.imaging.reading import read_picture
from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
from bridgenet.model.description import NetworkConfig
from bridgenet.model.inference import Precision, consume, optimize_for_inference, resolve_precision, twin
from bridgenet.model.records import required_record
from bridgenet.prediction.hub import HubMixin
from bridgenet.prediction.network import NetworkPredictor
from bridgenet.prediction.request import check_request
from bridgenet.prediction.result import Prediction


class Model(HubMixin):
    """A network with methods for prediction, saving and the Hugging Face hub.

    Predictions are computed by a prepared copy of the network, which is made at the first prediction. A model that was
    loaded from a file then holds only this copy, and reads the file again when :attr:`network` is accessed. From then on,
    or if the network was passed in, predictions follow its weights as they change.

    Args:
        network: built by `build_network` or `load_network`; other networks need `config`.
        config: how the network was built.
        information: about its weights: step, scores, origin, licence.
        precision: `"float32"`, `"bfloat16"`, or `"auto"`, which is bfloat16 where the processor is faster in it.
        compile: have PyTorch compile the prepared copy at its first call.
    """

    def __init__(
        self,
        network: BridgeNet,
        config: NetworkConfig | None = None,
        information: Mapping[str, Any] | None = None,
        *,
        precision: Precision = "float32",
        compile: bool = False,
    ):
        known = required_record(network, config)
        self.config: NetworkConfig = known.config
        """How the network was built."""
        self.information: Mapping[str, Any] = information or known.information
        """Information recorded with the weights: step, scores, origin, licence."""
        self.device = next(network.parameters()).device
        self.dtype = resolve_precision(precision, self.device)
        self._compile = compile
        self._source: Source | None = None
        self._network: BridgeNet | None = network
        self._prepared: BridgeNet | None = None
        self._made_of: object = None  # the state of the network when the prepared copy was made
        self._lock = threading.RLock()

    @property
    def tasks(self) -> dict[str, int]:
        """Channels n_t of each task's logits, in task order."""
        return dict(self.config.num_outputs)

    @property
    def network(self) -> BridgeNet:
        """The network, which can be trained and saved.

        Raises:
            UserError: its file has to be read again and was deleted or changed.
        """
        with self._lock:
            self._network = self._plain()
            self._source = None  # from now on the caller may change it
            return self._network

    def _plain(self) -> BridgeNet:
        """As :attr:`network`, but a network that is read from its file again is not kept; used for saving."""
        if self._network is not None:
            return self._network
        assert self._source is not None
        self._source.check_unchanged()
        return self._source.network().to(self.device)

    def __call__(self, images: Tensor) -> BridgeNetOutput:
        """Compute logits of images (B, 3, H, W), normalised with the network's `mean` and `deviation`, for inference.

        Use `model.network(images)` for gradients.
        """
        return self.prepared()(images)

    def predict(self, image: Any, *, tasks: list[str] | None = None, optimize: bool = True, **how: Any) -> Prediction:
        """Predict one picture; the results have the size of the picture.

        Args:
            image: path, PIL image, or (H, W, 3) uint8 RGB array; see :func:`bridgenet.imaging.reading.read_picture`.
            tasks: tasks to predict; all by default.
            how: `max_pixels`, `tile`, `overlap` of :class:`bridgenet.prediction.network.NetworkPredictor`.

        Raises:
            UserError: the image cannot be read, or the network does not have a task.
        """
        if not optimize:
            warnings.warn("optimize=False has no effect any more: prediction does not change the network", stacklevel=2)
        check_request(self.tasks, tasks)
        picture = read_picture(image)
        return NetworkPredictor(self.prepared(), self.config, tasks=tasks, **how)([picture])[0]

    def prepared(self) -> BridgeNet:
        """The network prepared for fast inference. A network of another dtype than float32 is not prepared."""
        with self._lock:
            if self._network is None and self._prepared is not None:
                return self._prepared
            network = self._plain()
            how: dict[str, Any] = {
                "precision": "bfloat16" if self.dtype == torch.bfloat16 else "float32",
                "compile": self._compile,
            }
            if self._source is not None:  # nothing else uses it
                self._network = None  # of no use once it is begun, also if it is interrupted: then it is read again
                self._prepared = consume(network, **how)
                return self._prepared
            if self._prepared is None or self._made_of != _state_of(network):
                self._prepared = None  # not both at once
                is_float32 = next(network.parameters()).dtype == torch.float32
                self._prepared = optimize_for_inference(network, **how) if is_float32 else twin(network).eval()
                self._made_of = _state_of(network)
            return self._prepared

    def save(self, path: str | Path, *, information: Mapping[str, Any] | None = None) -> None:
        """Save the weights in this project's own format (`.safetensors`); see :func:`bridgenet.save`."""
        save(self, path, information=information)

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
        """Load a model from a folder, or from the hub (`owner/name`); see :func:`bridgenet.load`.

        Args:
            model_kwargs: `device`, by default the CPU; `trust`.
        """
        # ModelHubMixin's would also download config.json and pass its entries to the constructor.
        path = Path(pretrained_model_name_or_path)
        if not path.exists():
            path = download(
                str(pretrained_model_name_or_path),
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        return load(path, **{"device": "cpu", **model_kwargs})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (not hasattr(BridgeNet, name) and name not in ("backbone", "decoder", "heads")):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        warnings.warn(
            f"model.{name} is model.network.{name} now; the old name will be removed in the next version", stacklevel=2
        )
        return getattr(self.network, name)


def _state_of(network: BridgeNet) -> object:
    """A value that is equal as long as neither weights nor buffers change: their addresses, dtypes and sums.

    Not their versions: writing to `x.data`, as exponential moving averages of weights often do, leaves those as they are.
    """
    tensors = [x.detach() for x in (*network.parameters(), *network.buffers())]
    sums = torch.stack([x.double().sum() if x.is_floating_point() else x.sum().double() for x in tensors])
    return [(x.data_ptr(), x.dtype) for x in tensors], sums.cpu().numpy().tobytes()


def save(
    model: Model | BridgeNet,
    path: str | Path,
    *,
    config: NetworkConfig | None = None,
    information: Mapping[str, Any] | None = None,
    optimizer: Mapping[str, Tensor] | None = None,
) -> None:
    """Save a model or a network in this project's own format, atomically.

    Args:
        model: from :func:`load`, :func:`load_network` or `build_network`.
        path: path of the safetensors file.
        config: how the network was built, needed if none of these functions built it.
        information: anything else to keep, as JSON types, e.g. `{"step": 1000}`; it is added to the recorded information.
        optimizer: tensors of the optimiser's state by name.

    Raises:
        UserError: it is not known how the network was built, or the authors' weights would get another licence.
    """
    if isinstance(model, Model):
        config = model.config
        information = description(config, information or {}, model.information)["information"]
        model = model._plain()
    save_network(model, path, config=config, information=information, optimizer=optimizer)


def load(
    source: str | Path,
    *,
    device: str | torch.device = "auto",
    config: Mapping[str, Any] | str | Path | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    trust: Collection[str] = (),
) -> Model:
    """Load a model that is ready to predict.

    Loading cannot run code from a file. Weights may name code on this machine (a custom decoder), which must be trusted,
    see `trust`.

    Args:
        source: a run folder, this project's weights (`.safetensors`), a checkpoint in the authors' names (`.pth.tar`,
            `.pth`, `.safetensors`), whose configuration is detected, a folder in the layout of the Hugging Face hub, or
            the name of a model there (`owner/name`, if there is no such local path).
        device: `"auto"` is the first GPU if there is one, else the CPU.
        config: for a checkpoint in the authors' names of a network other than the eight published, the settings that the
            file does not contain, in the authors' keys: `backbone_kwargs`, `image_size`, `mtt_resolution_downsample_rate`, `dilated_ratio`;
            or a JSON or YAML file with them. Other keys may be present; they must agree with the file.
        precision: `"float32"`, `"bfloat16"`, or `"auto"`, which is bfloat16 where the processor is faster in it.
        compile: have PyTorch compile the network at its first call.
        trust: modules or packages whose code weights may name, besides those that are imported already. A run folder
            (with its `config.yaml`) is assumed to be your own.

    Returns:
        A model. `model.predict(image)` takes a path, a PIL image or an (H, W, 3) uint8 array; `model.network` is the
        `nn.Module` for training; `model.save(path)` and `model.save_pretrained(folder)` save it; `model.information` is
        recorded with the weights: step, scores, origin, licence.

    Raises:
        UserError: the source does not exist, is damaged or refused, or its weights do not fit. No weight is left at its
            random initial value.
    """
    opened = open_source(source, config=config, trust=trust)
    network = opened.network().to(_device(device))
    model = Model(network, precision=precision, compile=compile)
    model._source = opened
    if model.dtype != torch.float32 or compile:
        del network
        model.prepared()
    return model


def load_network(
    source: str | Path,
    *,
    device: str | torch.device = "auto",
    config: Mapping[str, Any] | str | Path | None = None,
    trust: Collection[str] = (),
) -> BridgeNet:
    """Load a network as a plain `nn.Module`, in evaluation mode, for training or for use in other code.

    Arguments and errors are those of :func:`load`. `network(images)` takes (B, 3, H, W) float32 images, normalised with its
    `mean` and `deviation`, and returns `logits` and `intermediate_logits` by task.
    """
    return open_source(source, config=config, trust=trust).network().to(_device(device))


def _device(device: str | torch.device) -> str | torch.device:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
