"""Scores of tasks: headlines, gains over a reference, text tables. Nothing here needs torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.tasks import Headline

Scores = dict[str, dict[str, float]]
"""{task: {metric: value}}; shares in 0..1, depth errors in [m], angles in [deg]."""


def gains(scores: Scores, reference: Scores) -> dict[str, float]:
    """Relative improvement of each task's headline over that of the reference; 0.1 means 10 % better.

    Tasks without a finite number on both sides are left out.
    """
    found = {}
    for name, values in scores.items():
        if name not in reference:
            continue
        headline = tasks.get(name).headline_in(values, reference[name])
        value, base = (side.get(headline.key, math.nan) for side in (values, reference[name]))
        if math.isfinite(value) and math.isfinite(base):
            sign = 1 if headline.higher_is_better else -1
            found[name] = sign * (value - base) / max(abs(base), 1e-3)  # a first mIoU may be 0
    return found


def relative_gain(scores: Scores, reference: Scores) -> float:
    """The multi-task gain Δm as a share: the mean of :func:`gains`, 0 if there are none."""
    found = gains(scores, reference)
    return sum(found.values()) / len(found) if found else 0.0


def read_scores(source: str | Path) -> Scores:
    """Read the scores in an evaluation.json or in the run folder that holds it. Raises UserError if there are none."""
    path = Path(source)
    path = path / "evaluation.json" if path.is_dir() else path
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            task: {key: float("nan") if value is None else float(value) for key, value in values.items()}
            for task, values in found.get("scores", found).items()
        }
    except FileNotFoundError:
        raise UserError(f"no scores at {path}; bridgenet evaluate writes them") from None
    except (OSError, ValueError, TypeError, AttributeError):
        raise UserError(f"{path} holds no scores, expected what bridgenet evaluate writes") from None


def in_words(headline: Headline, value: float) -> str:
    """Format a value with its unit: `41.2 %`, `0.412 m`, `14.8°`, `0.0476`; `–` if it is not finite."""
    if not math.isfinite(value):
        return "–"
    if headline.unit == "%":
        return f"{100 * value:.1f} %"
    if headline.unit == "deg":
        return f"{value:.1f}°"
    return f"{value:.3f} {headline.unit}" if headline.unit else f"{value:.4f}"


def table(
    scores: Scores, reference: Scores | None = None, labelled: Mapping[str, int] | None = None, images: int = 0
) -> str:
    """The headlines as a text table: task, metric with its direction, value; with a reference, its value and the gain.

    If not all `images` have a label of every task, a column shows how many have (`labelled` by task).
    """
    counts = labelled if labelled and min(labelled.values()) < images else None
    width = max([12, *(len(name) + 2 for name in scores)])
    header = f"{'task':<{width}}{'metric':<10}{'value':>10}" + (f"{'labelled':>16}" if counts else "")
    lines = [header + (f"{'reference':>12}{'better by':>11}" if reference else "")]
    better = gains(scores, reference or {})
    for name, values in scores.items():
        base = (reference or {}).get(name)
        headline = tasks.get(name).headline_in(values, *([base] if base else []))
        line = f"{name:<{width}}{headline.heading:<10}{in_words(headline, values[headline.key]):>10}"
        line += f"{f'{counts.get(name, 0)} of {images}':>16}" if counts else ""
        if name in better and base:
            line += f"{in_words(headline, base[headline.key]):>12}{100 * better[name]:>+9.1f} %"
        lines.append(line)
    if better:
        lines.append(f"Δm {100 * relative_gain(scores, reference or {}):+.2f} % (mean over {len(better)} tasks)")
    return "\n".join(lines)
