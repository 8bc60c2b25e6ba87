"""Prediction of videos and cameras frame by frame: a video of panels, and optional files for each frame."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet.errors import UserError
from bridgenet.prediction.inputs import Input
from bridgenet.prediction.result import Prediction
from bridgenet.prediction.writing import lost, save
from bridgenet.system.files import writing_folder
from bridgenet.tasks.visualize import MAX_LEGEND, panel, range_of

CODEC = "mp4v"  # supported for .mp4 by every build of OpenCV
ASSUMED_FPS = 25.0
"""Frame rate of streams that do not report one [1/s]."""
RANGE_SHARE = 0.1
"""Rate at which the colour range of depth and regressions follows each frame's range, to avoid flickering."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class StreamOptions:
    """Options for reading videos and cameras.

    Attributes:
        fps: predicted frames per second of the video; others are left out. None predicts all.
        max_frames: largest number of predicted frames; None reads until the end (for cameras, until Ctrl-C).
        smoothing: weight of the past in the logits of each frame, [0, 1).
    """

    fps: float | None = None
    max_frames: int | None = None
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise UserError(f"fps (--fps) is {self.fps:g}, expected a number above 0")
        if self.max_frames is not None and self.max_frames < 1:
            raise UserError(f"max_frames (--max-frames) is {self.max_frames}, expected at least 1")


@dataclass
class Predicted:
    """Result of a stream: number of frames, frame rate [1/s], last prediction, files below its folder, notes."""

    frames: int
    fps: float
    last: Prediction
    files: list[str]
    notes: list[str]


class Frames:
    """The frames of a video or camera as (number in the source, (H, W, 3) uint8 RGB).

    Raises UserError if it cannot be opened. Ctrl-C ends a camera's frames like switching it off.
    """

    def __init__(self, entry: Input, options: StreamOptions):
        self.entry = entry
        self.options = options
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # damaged files are reported here
        self.capture = cv2.VideoCapture(int(entry.source) if entry.kind == "camera" else entry.source)
        if not self.capture.isOpened():
            raise UserError(self._why_not())
        fps = self.capture.get(cv2.CAP_PROP_FPS)
        fps = fps if 0 < fps < 1000 else ASSUMED_FPS
        self.step = max(1, round(fps / options.fps)) if options.fps else 1
        self.fps = fps / self.step
        reported = self.capture.get(cv2.CAP_PROP_FRAME_COUNT) if entry.kind == "video" else 0
        self.expected = int(reported) if 0 < reported < 1e9 else None
        self.read = 0

    def _why_not(self) -> str:
        if self.entry.kind == "camera":
            return f"camera {self.entry.source} cannot be opened (is there one, and may it be used?)"
        size = Path(self.entry.source).stat().st_size
        return f"{self.entry.source} is not a video that can be read, or a damaged one" + " (0 bytes)" * (size == 0)

    @property
    def total(self) -> int | None:
        """The number of frames, if it is known."""
        counts = [-(-self.expected // self.step)] if self.expected else []
        return min([*counts, *([self.options.max_frames] if self.options.max_frames else [])], default=None)

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        given = 0
        try:
            while (self.options.max_frames is None or given < self.options.max_frames) and self.capture.grab():
                number, self.read = self.read, self.read + 1
                if number % self.step:
                    continue
                is_there, frame = self.capture.retrieve()
                if not is_there:
                    return
                given += 1
                yield number, np.ascontiguousarray(frame[..., ::-1], dtype=np.uint8)
        except KeyboardInterrupt:
            if self.entry.kind != "camera":
                raise
        finally:
            self.capture.release()

    @property
    def notes(self) -> list[str]:
        """Notes after the last frame: whether a video ended too early."""
        if self.expected is None or self.options.max_frames is not None or self.read >= self.expected - 1:
            return []
        return [f"damaged: {self.read} of {self.expected} frames could be read"]


class VideoFile:
    """An .mp4 file with frames of the size of the first one; it is checked when it is closed.

    Raises OSError (no space) if the file has fewer frames than were written.
    """

    def __init__(self, path: Path, fps: float):
        self.path = path
        self.fps = fps
        self.writer: cv2.VideoWriter | None = None
        self.size = (0, 0)
        self.frames = 0

    def write(self, picture: Image.Image) -> None:
        """Add a frame; one of another size than the first is placed on white."""
        if self.writer is None:
            self.size = (picture.width // 2 * 2, picture.height // 2 * 2)  # the codec halves the colours' resolution
            self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*CODEC), self.fps, self.size)
            if not self.writer.isOpened():
                raise UserError(f"{self.path}: OpenCV cannot write {CODEC} video here; leave out the panel of videos")
        canvas = Image.new("RGB", self.size, "white")
        canvas.paste(picture)
        self.writer.write(np.ascontiguousarray(np.asarray(canvas)[..., ::-1]))
        self.frames += 1

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.writer is None:
            return
        self.writer.release()
        if kind is not None:
            return
        capture = cv2.VideoCapture(str(self.path))  # OpenCV does not report a full disk
        found = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        capture.release()
        if found < self.frames:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def predict_stream(
    entry: Input,
    predict: Callable[[Picture], Prediction],
    folder: Path,
    outputs: Sequence[str],
    options: StreamOptions,
    progress: Callable[[int, int | None], None],
    **how: Any,
) -> Predicted:
    """Predict a video or camera into a folder, completely or not at all.

    `panel.mp4` is written if `panel` is among the outputs; the other outputs of every frame are written to
    `frames/NUMBER/`, with the number of the frame in the source, from 0. `progress` is called with (frames done, total or
    None); `how` are arguments of :meth:`Prediction.save`.

    Raises:
        UserError: the source cannot be opened, or has no frame that can be read.
    """
    frames = Frames(entry, options)
    of_frames = [output for output in outputs if output != "panel"]
    ranges: dict[str, tuple[float, float]] = {}
    files: list[str] = []
    notes: list[str] = []
    count, last = 0, None
    with writing_folder(folder) as partial:
        with VideoFile(partial / "panel.mp4", frames.fps) as video:
            try:
                for number, picture in frames:
                    found = predict(picture)
                    if "panel" in outputs:
                        video.write(_panel(found, ranges))
                    if of_frames:
                        of_frame = partial / "frames" / f"{number:06d}"
                        saved = save(found, of_frame, of_frames, **how)
                        notes = notes or [f"frame {number}: {note}" for note in lost(found, of_frames)]
                        files += [f"frames/{of_frame.name}/{file.name}" for file in saved]
                    count, last = count + 1, found
                    progress(count, frames.total)
            except KeyboardInterrupt:  # ends a camera's stream at any point; frames so far are kept
                if entry.kind != "camera":
                    raise
        if last is None:
            raise UserError(f"{entry.source} has no frame that can be read")
    files = ["panel.mp4", *files] if "panel" in outputs else files
    return Predicted(count, frames.fps, last, files, [*frames.notes, *notes])


def _panel(result: Prediction, ranges: dict[str, tuple[float, float]]) -> Image.Image:
    """Draw a panel of constant layout, with a slowly changing colour range."""
    for task, values in result.maps.items():
        if (found := range_of(task, values)) is not None:
            low, high = ranges.get(task, found)
            ranges[task] = (low + RANGE_SHARE * (found[0] - low), high + RANGE_SHARE * (found[1] - high))
    names = result.class_names
    return panel(result.image, result.maps, class_names=names, ranges=ranges, legend_places=MAX_LEGEND)
