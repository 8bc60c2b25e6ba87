"""Results of the open pages, stored in folders, so that large pictures need disk space instead of memory."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Collection
from pathlib import Path

from bridgenet.app.viewer import views
from bridgenet.errors import UserError
from bridgenet.prediction import Prediction

MOST_KEPT = 16
"""Number of open pages whose results are kept: those with the latest predictions."""
PICTURES, VIEWS = "pictures", "views.html"


class Results:
    """A folder for each page with a folder for each picture, which has the files of :meth:`Prediction.save` and the views.

    Args:
        folder: an existing folder; the caller deletes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[str] = []

    def make(self) -> str:
        """Make a new, empty folder; the oldest is deleted if there are more than :data:`MOST_KEPT`."""
        self.kept.append(tempfile.mkdtemp(prefix="results-", dir=self.folder))
        for old in self.kept[:-MOST_KEPT]:
            self.delete(old)
        return self.kept[-1]

    def delete(self, place: str) -> None:
        """Delete a folder made by :meth:`make`; other folders are ignored."""
        if place in self.kept:
            self.kept.remove(place)
            shutil.rmtree(place, ignore_errors=True)

    def put(self, place: str, name: str, prediction: Prediction) -> None:
        """Save the prediction of the picture `name`. UserError if it cannot be written, e.g. because the disk is full."""
        target = Path(place) / PICTURES / name
        try:
            prediction.save(target)
            (target / VIEWS).write_text(views(prediction), encoding="utf-8")
        except OSError as error:
            shutil.rmtree(target, ignore_errors=True)
            raise UserError(f"the results of {name} cannot be written: {error.strerror or error}") from None

    def view(self, place: str, name: str) -> str:
        """Read the views of a picture. UserError if its folder was deleted."""
        try:
            return (self._existing(place) / PICTURES / name / VIEWS).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"there is no result of {name}; predict it again") from None

    def packed(self, place: str) -> Path:
        """Write a zip with a folder for each picture, named by it. UserError if they were deleted or the disk is full."""
        folder = self._existing(place)
        target = folder / "bridgenet.zip"
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
                names: list[str] = []
                for each in sorted((folder / PICTURES).iterdir()):
                    names.append(unused(Path(each.name).stem, names))  # a.jpg beside a.png
                    for file in sorted(path for path in each.iterdir() if path.name != VIEWS):
                        archive.write(file, f"{names[-1]}/{file.name}")
        except OSError as error:
            target.unlink(missing_ok=True)
            raise UserError(f"the zip cannot be written: {error.strerror or error}") from None
        return target

    def _existing(self, place: str) -> Path:
        if place not in self.kept:
            raise UserError(f"results are kept for an hour and of {MOST_KEPT} pages; these were deleted. Predict again")
        return Path(place)


def unused(name: str, taken: Collection[str]) -> str:
    """`name`, or with `-2`, `-3`, … before the suffix if it is taken."""
    number, unique = 2, name
    lower = {each.casefold() for each in taken}  # some file systems ignore case
    while unique.casefold() in lower:
        unique, number = f"{Path(name).stem}-{number}{Path(name).suffix}", number + 1
    return unique
