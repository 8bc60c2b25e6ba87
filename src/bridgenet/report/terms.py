"""Names of metrics in reports, and the format of their values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridgenet import tasks
from bridgenet.tasks import Headline

COMPATIBLE = "as in published tables"
CLEAN = "clean definition"


@dataclass(frozen=True)
class Metric(Headline):
    """A score that a metric gives, with a few words on how it is defined."""

    text: str = ""
    has_direction: bool = True


_METRICS: dict[tuple[str, str], Metric] = {  # by the task or its kind, and the key
    (of, key): Metric(key, title, up, unit, text)
    for of, key, title, up, unit, text in (
        ("classes", "mIoU", "mIoU", True, "%", f"{COMPATIBLE}: mean over all classes; one that never occurs counts 0"),
        (
            "classes",
            "mIoU_present",
            "mIoU, classes that occur",
            True,
            "%",
            f"{CLEAN}: mean over the classes that occur",
        ),
        ("classes", "pixel_accuracy", "pixel accuracy", True, "%", "share of valid pixels with the right class"),
        ("classes", "mean_class_accuracy", "mean class accuracy", True, "%", "mean over classes of the share found"),
        ("depth", "rmse", "RMSE", False, "m", "root of the mean squared error"),
        ("depth", "log_rmse", "log RMSE", False, "", "the same of the natural logarithms"),
        ("depth", "abs_rel", "abs rel", False, "", "mean |error| / truth"),
        ("depth", "sq_rel", "sq rel", False, "m", "mean error² / truth"),
        ("depth", "delta1", "δ < 1.25", True, "%", "share of pixels wrong by a factor below 1.25"),
        ("depth", "delta2", "δ < 1.25²", True, "%", "… below 1.25²"),
        ("depth", "delta3", "δ < 1.25³", True, "%", "… below 1.25³"),
        ("normals", "mean", "mErr", False, "deg", "mean angle to the truth"),
        ("normals", "median", "median", False, "deg", "median angle"),
        ("normals", "within_11.25", "< 11.25°", True, "%", "share of pixels wrong by less"),
        ("normals", "within_22.5", "< 22.5°", True, "%", "share of pixels wrong by less"),
        ("normals", "within_30", "< 30°", True, "%", "share of pixels wrong by less"),
        ("regression", "mae", "MAE", False, "", "mean |error|"),
        ("regression", "rmse", "RMSE", False, "", "root of the mean squared error"),
        ("regression", "abs_rel", "abs rel", False, "", "mean |error| / truth"),
        ("disparity", "rmse", "RMSE", False, "px", "root of the mean squared error where 0 < truth < 80"),
        ("disparity", "mae", "MAE", False, "px", "mean |error| where 0 < truth < 80"),
        ("regression", "abs_err", "abs err", False, "", "mean |error|"),
        ("regression", "rel_err", "rel err", False, "", "mean |error| / truth"),
        ("probability", "maxF", "maxF", True, "%", f"{COMPATIBLE}: the probability passes through a sigmoid again"),
        ("probability", "maxF_clean", "maxF, clean", True, "%", f"{CLEAN}: thresholds on the probability itself"),
        ("probability", "mae", "MAE", False, "", "mean |probability − truth|"),
        ("probability", "loss", "loss", False, "", f"{COMPATIBLE}: the probability is taken for the logit"),
        ("probability", "loss_clean", "loss, clean", False, "", f"{CLEAN}: weighted cross entropy of the logits"),
        ("probability", "odsF", "odsF", True, "%", "F at the best threshold for the whole set"),
        ("probability", "oisF", "oisF", True, "%", "F at each image's own best threshold"),
        ("probability", "AP", "AP", True, "%", "mean precision over recall"),
        ("probability", "F", "F", True, "%", "of the image"),
    )
}


def metric(task: str, key: str) -> Metric:
    """A metric of a task. An unknown one has its key as name, and no direction."""
    known = _METRICS.get((task, key)) or _METRICS.get((tasks.get(task).kind.name, key))
    if known is not None:
        return known
    own = tasks.get(task)
    if key == own.headline:
        return Metric(key, own.headline_title, own.higher_is_better, own.unit)
    return Metric(key, key, True, has_direction=False)


def heading(score: Headline) -> str:
    """`mIoU ↑ [%]`."""
    unit = {"deg": "°"}.get(score.unit, score.unit)
    title = score.heading if getattr(score, "has_direction", True) else score.title
    return f"{title} [{unit}]" if unit else title


def number(score: Headline, value: float | None) -> str:
    """A value in the unit of its heading: `56.75`, `0.4627`, `17.31`; `–` if there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if score.unit == "%":
        return f"{100 * value:.2f}"
    if score.unit == "deg":
        return f"{value:.2f}"
    return f"{value:.4f}" if score.unit == "m" else f"{value:.4g}"
