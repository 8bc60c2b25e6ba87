"""Runs over many inputs, which are grouped into batches, written and recorded; inputs that fail are skipped."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError, is_out_of_memory
from bridgenet.prediction.inputs import Input, find_inputs, share
from bridgenet.prediction.manifest import Manifest, is_inside
from bridgenet.prediction.points import ASSUMED_FIELD_OF_VIEW
from bridgenet.prediction.result import Prediction
from bridgenet.prediction.video import StreamOptions, predict_stream
from bridgenet.prediction.writing import check_outputs, lost, save
from bridgenet.system.files import write_json

if TYPE_CHECKING:
    from bridgenet.model.bridgenet import BridgeNet
    from bridgenet.prediction.model import Model

OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
"""Errors of writing that concern the place of one input only."""
CLASSES = "classes.json"
"""File with the meaning of class indices, beside the manifest."""
REMEDY = "give fewer --max-pixels, or a smaller --tile or --batch-size"

Picture = NDArray[np.uint8]
Progress = Callable[[int, "int | None"], None]


class Predictor(Protocol):
    """The interface that a run needs, in any framework (see :class:`bridgenet.prediction.network.NetworkPredictor`)."""

    tasks: list[str]
    batch_size: int

    def network_size(self, picture: Picture) -> tuple[int, int]: ...
    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]: ...
    def stream(self, smoothing: float = 0.0) -> Callable[[Picture], Prediction]: ...


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes:
        outputs: see :meth:`Prediction.save`; None is `raw` and `panel` for pictures and a video of panels for videos.
        field_of_view: horizontal [deg], for points.
        opacity: opacity of overlays, 0 to 1.
        skip_existing: skip inputs that are in the manifest with the same settings.
        stream: how videos and cameras are read.
        settings: further settings that the manifest records and `skip_existing` compares, e.g. the weights' name.
    """

    outputs: Sequence[str] | None = None
    field_of_view: float | None = None
    opacity: float = 0.5
    skip_existing: bool = False
    stream: StreamOptions = field(default_factory=StreamOptions)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def look(self) -> dict[str, Any]:
        """Arguments of :meth:`Prediction.save`."""
        return {"field_of_view": self.field_of_view, "opacity": self.opacity}

    def recorded(self, tasks: Sequence[str]) -> dict[str, Any]:
        """The settings that determine the results, as JSON types."""
        outputs = sorted(self.outputs) if self.outputs is not None else None
        return {"tasks": list(tasks), "outputs": outputs, **self.look(), "stream": asdict(self.stream), **self.settings}


@dataclass
class _Read:
    """A picture that was read and waits for its batch."""

    entry: Input
    picture: Picture
    notes: list[str]
    seconds: float


def predict_all(
    network: BridgeNet | Model,
    inputs: Sequence[str],
    out: Path,
    *,
    say: Callable[[str], None] = print,
    options: RunOptions | None = None,
    **how: Any,
) -> Mapping[str, int]:
    """:func:`run_inputs` with a network; `how` are arguments of :class:`bridgenet.prediction.network.NetworkPredictor`."""
    from bridgenet.prediction.network import NetworkPredictor

    return run_inputs(NetworkPredictor(network, **how), inputs, out, say=say, options=options)


def run_inputs(
    predictor: Predictor,
    inputs: Sequence[str],
    out: Path,
    *,
    say: Callable[[str], None] = print,
    options: RunOptions | None = None,
    progress: Callable[[str], Progress] = lambda what: lambda done, total: None,
    rank: int = 0,
    world: int = 1,
) -> Mapping[str, int]:
    """Predict every input into `out/NAME/` and record it in the manifest; inputs that cannot be read are skipped.

    Args:
        predictor: computes the predictions.
        inputs: see :func:`bridgenet.prediction.inputs.find_inputs`.
        out: folder of the results.
        say: called with a line of text for each input.
        options: options of the run.
        progress: called with a title (``"predicting"``, or a stream's name); returns a function of (done, total or None).
        rank: rank of this process among those that share the inputs; they need not communicate.
        world: number of these processes.

    Returns:
        {"images": number of predicted pictures and videos, "skipped": number of failed inputs, "existing": number of
        inputs that were done before}.

    Raises:
        UserError: an option is invalid, before anything is written; or the disk is full.
    """
    options = options or RunOptions()
    check_outputs(options.outputs or (), predictor.tasks, getattr(predictor, "class_values", {}), options.field_of_view)
    if not 0 <= options.opacity <= 1:
        raise UserError(f"opacity is {options.opacity:g}, expected 0 to 1")
    predictor.stream(options.stream.smoothing)
    found, skipped = find_inputs(inputs, out)
    mine = share(found, rank, world)
    run = _Run(predictor, out, say, options, Manifest(out, rank, world), progress)
    show = progress("predicting")
    for source, reason in skipped if rank == 0 else ():
        run.skip(source, reason)
    if "ply" in (options.outputs or ()) and options.field_of_view is None:
        say(f"! no field of view is given: points are made for {ASSUMED_FIELD_OF_VIEW:g}° (--field-of-view)")
    try:
        for number, entry in enumerate(mine):
            show(number, len(mine))
            run.take(entry)
        run.finish()
        show(len(mine), len(mine))
    except KeyboardInterrupt:
        done = run.counts["images"] + run.counts["existing"]
        say(
            f"! stopped after {done} of {len(mine)}; these are complete. The same command with --skip-existing resumes the run"
        )
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{out}: {os.strerror(error.errno)}. The {run.counts['images']} results before this one are complete and "
            "nothing partial is left; make room and run the same command with --skip-existing"
        ) from None
    return run.counts


def _classes(predictor: Predictor) -> dict[str, list[dict[str, Any]]]:
    """Index, name and, if known, value in label files of each class by task, of a predictor that knows them."""
    found: dict[str, list[dict[str, Any]]] = {}
    known = getattr(predictor, "class_values", {})
    for task, names in getattr(predictor, "class_names", {}).items():
        values = [{"value": value} for value in known.get(task, ())] or [{}] * len(names)
        if task in predictor.tasks:
            found[task] = [{"index": i, **value, "name": name} for i, (name, value) in enumerate(zip(names, values))]
    return found


class _Run:
    def __init__(
        self,
        predictor: Predictor,
        out: Path,
        say: Callable[[str], None],
        options: RunOptions,
        manifest: Manifest,
        progress: Callable[[str], Progress],
    ):
        self.predictor = predictor
        self.out = out
        self.say = say
        self.options = options
        self.manifest = manifest
        self.progress = progress
        self.settings = options.recorded(predictor.tasks)
        self.classes = _classes(predictor)
        self.counts = {"images": 0, "skipped": 0, "existing": 0}
        self.most = predictor.batch_size
        self.waiting: dict[tuple[int, int], list[_Read]] = {}

    def skip(self, source: str, reason: str, name: str | None = None) -> None:
        self.say(f"! {reason}: skipped")
        self.counts["skipped"] += 1
        self.manifest.append({"input": source, **({"name": name} if name else {}), "error": reason})

    def take(self, entry: Input) -> None:
        """Predict an input, or keep it until a batch of its size is complete."""
        shows_the_same = entry.kind not in ("camera", "standard input")
        if (
            self.options.skip_existing
            and shows_the_same
            and self.manifest.is_done(entry.source, entry.name, self.settings)
        ):
            self.counts["existing"] += 1
            return
        started = time.perf_counter()
        try:
            if not is_inside(self.out / entry.name, self.out):
                raise UserError(f"{self.out / entry.name} is behind a link that leads out of {self.out}")
            if entry.is_stream:
                self._stream(entry, started)
                return
            picture, notes = entry.read()
            size = self._network_size(entry, picture)
        except UserError as error:
            self.skip(entry.source, str(error), entry.name)
            return
        except OSError as error:
            self._without_place(entry, error)
            return
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.skip(entry.source, f"{entry.source} needs more memory than there is; {REMEDY}", entry.name)
            return
        group = self.waiting.setdefault(size, [])
        group.append(_Read(entry, picture, notes, time.perf_counter() - started))
        most = self.most
        if len(group) >= most or sum(map(len, self.waiting.values())) >= 4 * most:
            largest = max(self.waiting, key=lambda key: len(self.waiting[key]))
            self._predict(self.waiting.pop(largest))

    def _network_size(self, entry: Input, picture: Picture) -> tuple[int, int]:
        """The size of a picture for the network. Raises UserError, naming it, if it is too small."""
        try:
            return self.predictor.network_size(picture)
        except UserError as error:
            raise UserError(f"{entry.source}: {error}") from None

    def finish(self) -> None:
        """Predict the pictures that still wait."""
        while self.waiting:
            self._predict(self.waiting.pop(next(iter(self.waiting))))

    def _predict(self, group: list[_Read]) -> None:
        started = time.perf_counter()
        try:
            results = self.predictor([read.picture for read in group])
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._without_memory(group)
            return
        each = (time.perf_counter() - started) / len(group)
        for read, result in zip(group, results):
            started = time.perf_counter()
            folder = self.out / read.entry.name
            outputs = self.options.outputs or ("raw", "panel")
            try:
                files = [file.name for file in save(result, folder, outputs, **self.options.look())]
            except OSError as error:
                self._without_place(read.entry, error)
                continue
            seconds = read.seconds + each + time.perf_counter() - started
            self._done(read.entry, result, files, seconds, read.notes + lost(result, outputs), {})

    def _without_place(self, entry: Input, error: OSError) -> None:
        """Skip an input whose results cannot be at their place; other errors of writing are raised again."""
        if error.errno not in OF_ONE_NAME:
            raise error
        reason = f"{entry.source}: its results cannot be written to {self.out / entry.name}: {error.strerror}"
        self.skip(entry.source, reason, entry.name)

    def _without_memory(self, group: list[_Read]) -> None:
        """Predict the pictures of a batch one by one; skip a picture that does not fit into memory alone."""
        if len(group) == 1:
            height, width = group[0].picture.shape[:2]
            reason = f"{group[0].entry.source} ({width}×{height}) needs more memory than there is; {REMEDY}"
            self.skip(group[0].entry.source, reason, group[0].entry.name)
            return
        self.say(f"! {len(group)} pictures together need more memory than there is: one after the other from now on")
        self.most = 1
        for read in group:
            self._predict([read])

    def _stream(self, entry: Input, started: float) -> None:
        done = predict_stream(
            entry,
            self.predictor.stream(self.options.stream.smoothing),
            self.out / entry.name,
            self.options.outputs or ("panel",),
            self.options.stream,
            self.progress(f"{entry.source}: frame"),
            **self.options.look(),
        )
        about = {"frames": done.frames, "fps": done.fps}
        self._done(entry, done.last, done.files, time.perf_counter() - started, done.notes, about)

    def _done(
        self,
        entry: Input,
        result: Prediction,
        files: Sequence[str],
        seconds: float,
        notes: Sequence[str],
        about: Mapping[str, Any],
    ) -> None:
        height, width = result.image.shape[:2]
        tasks = list(result.maps)
        line = {"input": entry.source, "name": entry.name, "width": width, "height": height, **about, "tasks": tasks}
        details = {"files": list(files), "seconds": round(seconds, 3), "notes": list(notes), "settings": self.settings}
        if self.classes:
            write_json(self.out / CLASSES, self.classes)
            self.classes = {}
        self.manifest.clear(entry.source, entry.name, self.settings, files)
        self.manifest.append({**line, **details})
        self.counts["images"] += 1
        folder = self.out / entry.name
        shown = dict.fromkeys("frames/" if file.startswith("frames/") else file for file in files)
        frames = f"  {about['frames']} frames" if about else ""
        text = f"{entry.source}  {width}×{height}{frames}  {' '.join(tasks)}  → {folder}/{{{', '.join(shown)}}}"
        self.say(text + "".join(f"  ({note})" for note in notes))
