"""A cache of decoded samples, in memory or on disk: files that all processes of a machine share.

A sample is one safetensors file in the dtypes of :meth:`DenseDataset.compact`, with size and modification time of its source
files: a sample whose files have changed is read again. Samples without space are read without the cache.

    memory: below /dev/shm if the system has it, else in the temporary folder. All runs of a user on the same data and tasks
        share it; the last one deletes it. The next run uses, and deletes, the files of a killed run.
    disk: files are kept; delete them at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import quote

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bridgenet.data.base import DenseDataset
from bridgenet.data.pipeline.transforms import Sample
from bridgenet.errors import UserError
from bridgenet.system.files import lock, replacing

Kind = Literal["none", "memory", "disk"]
FORMAT = 3
"""Version of the arrays; incremented when the same files are read as other arrays."""
RESERVE = 512 * 2**20
"""Free bytes to leave on the device of the cache: workers send their batches through /dev/shm, too."""
SHARED_MEMORY = Path("/dev/shm")
LOCK = ".lock"


class SampleCache:
    """The samples of a data set, each decoded once.

    Args:
        dataset: the data set.
        folder: a folder for only this data set and these tasks; created if missing.
        keep: keep the folder when the process ends.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, dataset: DenseDataset, folder: Path, *, keep: bool) -> None:
        self.dataset = dataset
        self.folder = folder
        self.is_full = self.is_full_foreseen = False
        self._in_use: IO[bytes] | None = None
        try:
            folder.mkdir(mode=0o755 if keep else 0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if not keep:
                self._in_use = (folder / LOCK).open("ab")
        except OSError as error:
            raise UserError(
                f"{folder}, for decoded samples, cannot be written: {error.strerror}. "
                "Give another --data.cache-folder, or --data.cache none"
            ) from None
        if self._in_use is not None:
            lock(self._in_use, shared=True)
            weakref.finalize(self, _leave, folder, self._in_use, os.getpid())

    def __getstate__(self) -> dict[str, Any]:  # on the way to a worker that is not forked
        return {**self.__dict__, "_in_use": None}

    def compact(self, index: int) -> Sample:
        """The sample of :meth:`DenseDataset.compact`. The arrays must not be changed."""
        path, sources = self._path(index), self._sources(index)
        sample = self._read(path, sources)
        if sample is None:
            sample = self.dataset.compact(index)
            self._write(path, sources, sample)
        return sample

    def describe(self) -> str:
        """A text with the folder of the cache and its size, estimated from the first sample."""
        needed = len(self.dataset) * _num_bytes(self.compact(0))
        free = shutil.disk_usage(self.folder).free - RESERVE
        kept = sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))
        text = f"decoded samples are kept in {self.folder}: about {needed / 1e9:.3g} GB for {len(self.dataset)} samples"
        if needed - kept > free:
            self.is_full_foreseen = True
            text += f"; there is room for {max(0, free + kept) / 1e9:.3g} GB, the rest is decoded again each time"
        return text

    def _path(self, index: int) -> Path:
        return self.folder / f"{quote(self.dataset.ids[index], safe='')}.safetensors"

    def _sources(self, index: int) -> str:
        """The files of a sample with their sizes and modification times, as JSON."""
        paths = [self.dataset.image_path(index)]
        for task in self.dataset.tasks:
            paths += self.dataset.target_paths(task, index)
        found = []
        for path in paths:
            if path.exists():  # otherwise reading the sample raises the error
                status = path.stat()
                found.append([str(path), status.st_size, status.st_mtime_ns])
        return json.dumps(found)

    def _read(self, path: Path, sources: str) -> Sample | None:
        try:
            with safe_open(path, framework="numpy") as file:
                if (file.metadata() or {}).get("sources") != sources:
                    return None
                return {name: file.get_tensor(name) for name in ("image", *self.dataset.tasks)}
        except (OSError, SafetensorError):
            return None

    def _write(self, path: Path, sources: str, sample: Sample) -> None:
        if self.is_full:
            return
        reason = "there is no room left"
        try:
            self.is_full = shutil.disk_usage(self.folder).free < RESERVE + _num_bytes(sample)
            if not self.is_full:
                with replacing(path) as partial:
                    arrays = {name: np.ascontiguousarray(array) for name, array in sample.items()}
                    save_file(arrays, partial, metadata={"sources": sources})
        except (OSError, SafetensorError, UserError) as error:
            self.is_full, reason = True, str(error)
        if self.is_full and not self.is_full_foreseen:
            print(f"note: no more decoded samples are kept in {self.folder}: {reason}", file=sys.stderr)


def open_cache(dataset: DenseDataset, kind: Kind, folder: str | Path | None = None) -> SampleCache | None:
    """Open the cache for the settings `data.cache` (`kind`) and `data.cache_folder`; None for "none".

    The default folder on disk is $BRIDGENET_CACHE, or bridgenet in $XDG_CACHE_HOME or ~/.cache. Raises UserError if the
    folder cannot be written, or for an unknown kind.
    """
    if kind == "none":
        return None
    name = f"{dataset.info.file_name}-{dataset.split}-{_key(dataset)}"
    if kind == "disk":
        return SampleCache(dataset, (Path(folder).expanduser() if folder else _cache_home()) / name, keep=True)
    if kind == "memory":
        parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        user = os.getuid() if hasattr(os, "getuid") else 0
        cache = SampleCache(dataset, parent / f"bridgenet-{user}-{name}", keep=False)
        if hasattr(os, "getuid") and cache.folder.stat().st_uid != user:
            raise UserError(f"{cache.folder} belongs to another user. Give --data.cache disk or none")
        return cache
    raise UserError(f"data.cache is '{kind}', expected none, memory or disk")


def _cache_home() -> Path:
    if chosen := os.environ.get("BRIDGENET_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bridgenet"


def _key(dataset: DenseDataset) -> str:
    """A key of the folder, the tasks, and the way in which files are read."""
    kind = type(dataset)
    parts = [FORMAT, kind.__module__, kind.__qualname__, str(dataset.folder.absolute()), dataset.tasks]
    parts += [dataset.read_as] if dataset.read_as else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _num_bytes(sample: Sample) -> int:
    return sum(array.nbytes for array in sample.values())


def _leave(folder: Path, in_use: IO[bytes], owner: int) -> None:
    """Delete the folder unless another process uses it."""
    if os.getpid() == owner:  # not a worker that was forked
        if lock(in_use):
            shutil.rmtree(folder, ignore_errors=True)
        in_use.close()
