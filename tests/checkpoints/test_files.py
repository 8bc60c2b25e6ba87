from __future__ import annotations

import os
import struct
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bridgenet import UserError
from bridgenet.checkpoints.files import check_state_dict, read_config, read_file, read_state, state_of
from bridgenet.system.files import write_atomically

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


class RunsCode:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 1}, lambda s: {"state_dict": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("as_zip", [True, False])  # False: as before torch 1.6
def test_pytorch_files(tmp_path: Path, wrap, prefix: str, as_zip: bool) -> None:
    path = tmp_path / "weights.pth"
    content = wrap({prefix + key: value for key, value in STATE.items()})
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    assert read_file(path)[1] == {}
    state, _ = read_state(path)
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


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_packed_files_are_refused(tmp_path: Path) -> None:
    """A zip bomb: torch would unpack it, whatever its size."""
    torch.save({"a": torch.zeros(300_000)}, tmp_path / "honest.pth")
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members(tmp_path / "honest.pth").items():
            opened.writestr(name, content)
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match=r"bomb\.pth was refused: its part \S+ is compressed"):
        read_file(path)


def test_parts_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """Many parts in the space of one: each entry of the directory is led to the largest part."""
    path = tmp_path / "shared.pth"
    torch.save({"a": torch.zeros(1000), "b": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as opened:
        parts = [part for part in opened.infolist() if "/data/" in part.filename]
    content = bytearray(path.read_bytes())
    for part in parts:  # the directory's entry: 42 bytes before the name stands where the part begins
        at = content.rindex(part.filename.encode()) - 4
        content[at : at + 4] = struct.pack("<I", parts[0].header_offset)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"shared\.pth was refused: its part \S+ shares bytes"):
        read_file(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch checks sparse tensors
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            torch.zeros(1).expand(10**15),
            r"a claims to have shape \(1000000000000000,\), but the file holds only 4 bytes",
        ),
        (torch.zeros(4).as_strided((3, 4), (0, 1)), r".*save it with \.contiguous"),
        (torch.zeros(3, device="meta"), r"a is a strided tensor without values \(meta\)"),
        (torch.eye(3).to_sparse(), "a is a sparse_coo tensor"),
    ],
)
def test_weights_that_are_no_plain_arrays(tmp_path: Path, value: torch.Tensor, words: str) -> None:
    torch.save({"model": {"a": value, "b": torch.ones(1)}}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=rf"odd\.pth: {words}"):
        read_state(tmp_path / "odd.pth")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch gives quantised tensors up
def test_quantised_weights(tmp_path: Path) -> None:
    torch.save({"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=r"odd\.pth: a is a quantised tensor, expected plain weights"):
        read_state(tmp_path / "odd.pth")


def test_weights_that_are_one_and_the_same_many_times(tmp_path: Path) -> None:
    """Shapes are believed only as far as the file could fill them."""
    shared = torch.zeros(100_000)
    torch.save({f"x{i}": shared for i in range(50)}, tmp_path / "shared.pth")
    with pytest.raises(UserError, match=r"shared\.pth has \d+ bytes, but its weights claim to have 20000000"):
        read_state(tmp_path / "shared.pth")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_what_is_not_looked_at_is_not_read(tmp_path: Path, kind: str) -> None:
    """An optimiser's 16 MB stay in the file."""
    path = (tmp_path / f"large.{kind}").resolve()
    if kind == "pth":
        torch.save({"model": STATE, "optimizer": {i: torch.ones(1_000_000) for i in range(4)}}, path)
        content = read_state(path)
    else:
        save_file(STATE | {str(i): torch.ones(1_000_000) for i in range(4)}, str(path))
        content = read_file(path)
    assert content
    sections = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    anonymous = [line for part in sections for line in part.splitlines()[1:20] if line.startswith("Anonymous:")]
    assert anonymous, "the file is not mapped"
    assert all(int(line.split()[1]) < 1000 for line in anonymous)


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
        check_state_dict(STATE, expected, Path("x.pth"))
    assert str(error.value).splitlines() == [
        "x.pth: 3 weights do not fit this network:",
        "         c is missing",
        "         b is not part of this network",
        "         a.weight has shape (2, 3), expected (2, 4)",
    ]
    assert check_state_dict(STATE, {key: torch.zeros_like(value) for key, value in STATE.items()}, Path("x")) is STATE


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_other_kinds_of_numbers(dtype: torch.dtype) -> None:
    with pytest.raises(UserError, match=rf"b has numbers of kind {str(dtype)[6:]}, expected float32"):
        check_state_dict({"b": torch.ones(4, dtype=dtype)}, {"b": torch.zeros(4)}, Path("x.pth"))
    check_state_dict({"b": torch.ones(4, dtype=torch.float16)}, {"b": torch.zeros(4)}, Path("x.pth"))


def test_settings_files(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    for text in ('{"image_size": [64, 96]}', "image_size: [64, 96]"):
        path.write_text(text)
        assert read_config(path) == {"image_size": [64, 96]}
    for text, words in (("[1]", "holds a list"), ("a: [", "neither JSON nor YAML")):
        path.write_text(text)
        with pytest.raises(UserError, match=rf"net\.json .*{words}"):
            read_config(path)
    with pytest.raises(UserError, match="does not exist"):
        read_config(tmp_path / "none.json")


def test_long_lists_are_cut() -> None:
    with pytest.raises(UserError, match=r"… and 10 more"):
        check_state_dict({}, {str(i): torch.zeros(1) for i in range(30)}, Path("x.pth"))


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


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    """The checksums of a PyTorch file are compared, unless only its shapes are wanted."""
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(5000)}, path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"net\.pth is damaged \(checksum of .*data/0\)"):
        read_file(path)
    assert read_file(path, whole=False)[0]["a"].shape == (5000,)


def test_two_weights_of_one_name(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(1), "a": torch.zeros(1)}
    with pytest.raises(UserError, match=r"x\.pth holds both module\.a and a: which one is meant\?"):
        state_of(state, Path("x.pth"))


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "it is empty"), (b"words", "neither a PyTorch nor a safetensors file")]
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_file(tmp_path / "x.pth")


class _Long:
    """A few bytes in a pickle that take a gigabyte."""

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return bytearray, (10**9,)


@pytest.mark.parametrize("is_zip", [True, False])
def test_pickled_lengths_are_not_believed(tmp_path: Path, is_zip: bool) -> None:
    path = tmp_path / "long.pth"
    torch.save({"model": {"a": torch.ones(2)}, "x": _Long()}, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UserError, match=r"long\.pth was refused: it holds a bytearray"):
        read_state(path)
