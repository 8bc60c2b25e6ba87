from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bridgenet import UserError
from bridgenet.checkpoints.files import fit, read_file, state_of
from bridgenet.files import write_atomically

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


class RunsCode:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 1}, lambda s: {"state_dict": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_pytorch_files(tmp_path: Path, wrap, prefix: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(wrap({prefix + key: value for key, value in STATE.items()}), path)
    content, metadata = read_file(path)
    state = state_of(content, path)
    assert metadata == {}
    assert list(state) == list(STATE)
    assert all(torch.equal(state[key], value) for key, value in STATE.items())


def test_safetensors_files_whatever_they_are_called(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    save_file(STATE, str(path), metadata={"who": "me"})
    content, metadata = read_file(path)
    assert metadata == {"who": "me"}
    assert torch.equal(content["b"], STATE["b"])


def test_pickles_with_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    torch.save({"model": STATE, "more": RunsCode()}, path)
    with pytest.raises(UserError, match=r"bad\.pth was refused: .*could run code"):
        read_file(path)


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"cut.{kind}"
    if kind == "pth":
        torch.save(STATE, path)
    else:
        save_file(STATE, str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"cut\.{kind} "):
        read_file(path)


@pytest.mark.parametrize(
    "content", [b"these are not weights, they are words", b"{}", b"\x89PNG\r\n\x1a\n0000", b"PK\x03\x04"]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth "):
        read_file(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights at .*none\.pth"):
        read_file(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"it is a folder"):
        read_file(tmp_path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {}}, torch.ones(3)])
def test_files_without_weights(tmp_path: Path, content) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"weights\.pth holds"):
        state_of(read_file(path)[0], path)


def test_what_does_not_fit_is_listed() -> None:
    expected = {"a.weight": torch.zeros(2, 4), "c": torch.zeros(1)}
    with pytest.raises(UserError) as error:
        fit(STATE, expected, Path("x.pth"))
    assert str(error.value).splitlines() == [
        "x.pth: 3 weights do not fit this network:",
        "         c is missing",
        "         b is not part of this network",
        "         a.weight has shape (2, 3), expected (2, 4)",
    ]
    assert fit(STATE, {key: torch.zeros_like(value) for key, value in STATE.items()}, Path("x")) is STATE


def test_long_lists_are_cut() -> None:
    with pytest.raises(UserError, match=r"… and 10 more"):
        fit({}, {str(i): torch.zeros(1) for i in range(30)}, Path("x.pth"))


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(*_args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
