"""Published weights: their URLs and licences. None of them is part of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bridgenet.downloads.fetch import Progress, fetch
from bridgenet.errors import UserError, nearest

_OPENGVLAB = (
    "https://huggingface.co/OpenGVLab/InternImage/resolve/main/{file}",
    "https://github.com/OpenGVLab/InternImage/releases/download/cls_model/{file}",
)


STARTS = (b"PK\x03\x04", b"\x80")
"""First bytes of files by torch.save, in its current and its old format."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file.

    Attributes:
        file: name of the file.
        about: description of the weights.
        licence: name of the licence.
        use: command that uses the file; ``{path}`` is replaced by its path.
        urls: URLs in the order to try them; ``{file}`` is replaced by the name.
        sha256: published checksum, or empty.
        hint: where to find a URL, if none is known.
    """

    file: str
    about: str
    licence: str
    use: str
    urls: tuple[str, ...] = ()
    sha256: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        """Its name on the command line: that of the file without its endings."""
        return self.file.partition(".")[0]


def _internimage(file: str, size: str, data: str) -> Weights:
    return Weights(
        file=file,
        about=f"InternImage-{size} backbone of OpenGVLab, trained on {data}",
        licence="MIT",
        use="bridgenet train PRESET --network.backbone_checkpoint {path}",
        urls=_OPENGVLAB,
    )


def _released(name: str, title: str) -> Weights:
    return Weights(
        file=f"{name}.pth.tar",
        about=f"BridgeNet with InternImage-L on {title}, released by the paper's authors",
        licence="the authors', non-commercial use only",
        use="bridgenet predict {path} photo.jpg",
        hint="the page of the paper's authors links them (see arXiv 2312.13514)",
    )


WEIGHTS: dict[str, Weights] = {
    weights.name: weights
    for weights in (
        _internimage("internimage_t_1k_224.pth", "T", "ImageNet-1k"),
        _internimage("internimage_s_1k_224.pth", "S", "ImageNet-1k"),
        _internimage("internimage_b_1k_224.pth", "B", "ImageNet-1k"),
        _internimage("internimage_l_22k_192to384.pth", "L", "ImageNet-22k"),
        _released("bridgenet_nyud_internimage_large", "NYUD-v2"),
        _released("bridgenet_pascal_internimage_large", "PASCAL-Context"),
    )
}


def find(name: str) -> Weights:
    """Find weights by name or file name. UserError with the nearest known name if there are none."""
    key = name if name in WEIGHTS else next((key for key, known in WEIGHTS.items() if known.file == name), None)
    if key is None:
        raise UserError(f"'{name}' is not a name of weights{nearest(name, WEIGHTS)}; bridgenet weights list shows them")
    return WEIGHTS[key]


def download(name: str, out: Path, *, urls: Sequence[str] = (), progress: Progress | None = None) -> tuple[Path, str]:
    """Download weights to the folder `out`, or check existing ones. The file is not loaded.

    Args:
        name: a key of :data:`WEIGHTS`, or the file's name.
        out: folder, which is created.
        urls: further URLs, tried before the known ones.
        progress: see :func:`bridgenet.downloads.fetch.fetch`.

    Returns:
        The file and its sha256.

    Raises:
        UserError: the name is unknown, or see :func:`bridgenet.downloads.fetch.fetch`.
    """
    weights = find(name)
    target = out / weights.file
    if not (urls or weights.urls or target.exists()):
        raise UserError(
            f"{weights.name}: no address is known; {weights.hint}. Give it with --url, or put the file at {target} and "
            "run the same command again"
        )
    known = [url.format(file=weights.file) for url in weights.urls]
    digest = fetch([*urls, *known], target, sha256=weights.sha256 or None, starts=STARTS, progress=progress)
    return target, digest
