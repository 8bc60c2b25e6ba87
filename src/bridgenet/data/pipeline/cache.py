"""Decoded samples kept for the next epoch, in memory or on disk: files that all processes of a machine share.

A sample is one safetensors file in the types of :meth:`DenseDataset.compact`, with size and time of change of the files it
was read from: a sample whose files have changed is read anew. Where there is no room left, the rest is read as without
a cache.

    memory: below /dev/shm where the system has it, else in the temporary folder. Shared by all runs of a user on the same
        data and tasks; the last one to end deletes it. What a killed run leaves there is used, and deleted, by the next.
    disk: stays; delete it at any time.
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
FORMAT = 2
"""Raised when the same files would be read as other arrays."""
RESERVE = 512 * 2**20
"""Bytes left free where the cache lies: workers send their batches through /dev/shm as well."""
SHARED_MEMORY = Path("/dev/shm")
LOCK = ".lock"


class SampleCache:
    """A data set's samples, each decoded once.

    Args:
        dataset: the samples.
        folder: for this data set and these tasks alone; made if need be.
        keep: leave the folder when the process ends.

    Raises:
        UserError: nothing can be written there.
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
        """As of the data set. The arrays are not to be changed."""
        path, sources = self._path(index), self._sources(index)
        sample = self._read(path, sources)
        if sample is None:
            sample = self.dataset.compact(index)
            self._write(path, sources, sample)
        return sample

    def describe(self) -> str:
        """Where the cache is and what it takes, as far as the first sample tells."""
        needed = len(self.dataset) * _num_bytes(self.compact(0))
        free = shutil.disk_usage(self.folder).free - RESERVE
        kept = sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))
        text = f"decoded samples are kept in {self.folder}: about {needed / 1e9:.3g} GB for {len(self.dataset)} samples"
        if needed - kept > free:
            self.is_full_foreseen = True
            text += f"; there is room for {max(0, free + kept) / 1e9:.3g} GB, the rest is decoded anew each time"
        return text

    def _path(self, index: int) -> Path:
        return self.folder / f"{quote(self.dataset.ids[index], safe='')}.safetensors"

    def _sources(self, index: int) -> str:
        """The files of a sample, their sizes and times of change."""
        paths = [self.dataset.image_path(index)]
        for task in self.dataset.tasks:
            paths += self.dataset.target_paths(task, index)
        found = []
        for path in paths:
            if path.exists():  # reading the sample says what is wrong otherwise
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
    """The cache that the settings `data.cache` and `data.cache_folder` ask for.

    Without a folder the one on disk is below $BRIDGENET_CACHE, or bridgenet below $XDG_CACHE_HOME or ~/.cache.

    Raises UserError if nothing can be written there, or for a kind that there is not.
    """
    if kind == "none":
        return None
    name = f"{dataset.info.name}-{dataset.split}-{_key(dataset)}"
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
    """Different for every folder, choice of tasks, and way of reading."""
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
