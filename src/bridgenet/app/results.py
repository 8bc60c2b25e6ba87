"""Results of the open pages, in folders: a page with 20 large pictures takes space on the disk, not memory."""

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
"""Results are kept for so many open pages, those that predicted last."""
PICTURES, VIEWS = "pictures", "views.html"


class Results:
    """A folder for each page, in it a folder for each picture with what :meth:`Prediction.save` writes, and its views.

    Args:
        folder: existing; whoever made it deletes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[str] = []

    def make(self) -> str:
        """A new, empty folder; the oldest is deleted where there are more than :data:`MOST_KEPT`."""
        self.kept.append(tempfile.mkdtemp(prefix="results-", dir=self.folder))
        for old in self.kept[:-MOST_KEPT]:
            self.delete(old)
        return self.kept[-1]

    def delete(self, place: str) -> None:
        """Delete a folder that :meth:`make` made, and no other."""
        if place in self.kept:
            self.kept.remove(place)
            shutil.rmtree(place, ignore_errors=True)

    def put(self, place: str, name: str, prediction: Prediction) -> None:
        """Save the prediction of the picture called `name`. UserError where it cannot be written, e.g. the disk is full."""
        target = Path(place) / PICTURES / name
        try:
            prediction.save(target)
            (target / VIEWS).write_text(views(prediction), encoding="utf-8")
        except OSError as error:
            shutil.rmtree(target, ignore_errors=True)
            raise UserError(f"the results of {name} cannot be written: {error.strerror or error}") from None

    def view(self, place: str, name: str) -> str:
        """:func:`views` of a picture. UserError if its folder was deleted."""
        try:
            return (self._existing(place) / PICTURES / name / VIEWS).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"there is no result of {name}; predict it again") from None

    def packed(self, place: str) -> Path:
        """A zip with a folder for each picture, named by the picture. UserError if they were deleted, or the disk is full."""
        folder = self._existing(place)
        target = folder / "bridgenet.zip"
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # pictures are packed already
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
    """`name`, or `name-2` and so on where it is taken; before the suffix."""
    number, unique = 2, name
    lower = {each.casefold() for each in taken}  # some file systems take A.png for a.png
    while unique.casefold() in lower:
        unique, number = f"{Path(name).stem}-{number}{Path(name).suffix}", number + 1
    return unique
