"""`bridgenet demo`: generates rooms or streets, trains and evaluates a small BridgeNet on them, and writes a report."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from bridgenet import config as configuration
from bridgenet import data, tasks
from bridgenet.checkpoints import read_information
from bridgenet.config.resolved import evaluation_size, open_dataset, shrink_of
from bridgenet.config.settings import RunConfig
from bridgenet.evaluation.baseline import constant_logits, evaluate_constant
from bridgenet.evaluation.command import evaluate_source
from bridgenet.prediction.model import load_network
from bridgenet.report import blocks
from bridgenet.report.page import page
from bridgenet.report.plots import save, training_curves
from bridgenet.synthetic import VERSION, Layout, generate
from bridgenet.system.files import write_atomically
from bridgenet.tasks.scores import Scores, in_words
from bridgenet.training.reporting import prediction_panels
from bridgenet.training.rows import read_rows
from bridgenet.training.run import LAST, METRICS, train
from bridgenet.version import __version__

NUM_PANELS = 8


@dataclass(frozen=True)
class Demo:
    """The preset of a demo, the name of its scenes, their layout, number and (height, width) [pixels]."""

    preset: str
    scene: str
    in_layout: str
    size: tuple[int, int]
    train: int = 240
    val: int = 60


DEMOS: dict[Layout, Demo] = {
    "nyud": Demo("demo", "room", "NYU layout", (96, 128)),
    "cityscapes": Demo("demo-cityscapes", "street", "Cityscapes layout", (128, 256)),
}


def demo(out: Path, *, layout: Layout = "nyud", overwrite: bool = False, device: str = "auto") -> Path:
    """Run the demo in one folder. Scenes are reused, and an interrupted training is resumed.

    Args:
        layout: "nyud" trains on rooms, "cityscapes" on streets.
        out: folder for `data/`, `run/`, `predictions/*.png`, `curves.png`, `scores.json` and `report.html`.
        overwrite: train again even if a run is finished.
        device: `"auto"` or `"cpu"`.

    Returns:
        The path of the report.
    """
    started = time.perf_counter()
    print(f"→ environment ready ({environment()})")
    chosen = DEMOS[layout]
    config = configuration.load(chosen.preset)
    config = replace(config, data=replace(config.data, root=str(_scenes(out / "data", layout))))
    run = out / "run"
    _train(config, chosen.preset, run, overwrite, device)

    scores = evaluate_source(str(run), config, out=run, device=device)["scores"]
    train_set, val_set = open_dataset(config, "train"), open_dataset(config, "val")
    constant = evaluate_constant(constant_logits(train_set), val_set, evaluation_size(config))
    print(f"→ evaluation on {len(val_set)} {chosen.scene}s")
    rows = comparison(scores, constant)
    print(text_table(rows))

    network = load_network(run, device=device)
    panels = prediction_panels(network, val_set, evaluation_size(config), NUM_PANELS, shrink=shrink_of(config))
    panels = {name.rpartition("/")[2]: picture for name, picture in panels.items()}
    (out / "predictions").mkdir(parents=True, exist_ok=True)
    for name, picture in panels.items():
        save(picture, out / "predictions" / f"{name}.png")
    curves = training_curves(read_rows(run / METRICS))
    save(curves, out / "curves.png")
    write_atomically(out / "scores.json", json.dumps({"bridgenet": scores, "best_constant": constant}, indent=2) + "\n")
    facts = f"bridgenet {__version__}, {environment()}; {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, {config.steps} steps"
    write_atomically(out / "report.html", report(rows, curves, panels, facts, chosen.scene))
    print(
        f"→ look: {out / 'report.html'}   pictures: {out / 'predictions'}/*.png   ({time.perf_counter() - started:.0f} s in all)"
    )
    return out / "report.html"


def environment() -> str:
    """A text with the versions of Python and torch, and the device."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    return f"Python {platform.python_version()}, torch {torch.__version__}, {device}"


def _scenes(root: Path, layout: Layout) -> Path:
    """The data root with the demo's scenes, which are rendered if they do not exist."""
    wanted = DEMOS[layout]
    height, width = wanted.size
    what = f"{wanted.train} train + {wanted.val} val {wanted.scene}s, {height}×{width}, {wanted.in_layout}"
    folder = root / data.info(layout).folder
    scenes = {"train": wanted.train, "val": wanted.val, "size": [height, width], "seed": 0}
    expected = {"generator": VERSION, "layout": layout, **scenes}
    if (folder / "scenes.json").is_file():
        if json.loads((folder / "scenes.json").read_text(encoding="utf-8")) == expected:
            print(f"→ scenes: {what}   {root} (made before)")
            return root
        shutil.rmtree(folder)  # scenes of another version of the demo
    started = time.perf_counter()
    generate(layout, root, train=wanted.train, val=wanted.val, size=wanted.size)
    print(f"→ scenes: {what}   {root}   {time.perf_counter() - started:.0f} s")
    return root


def _train(config: RunConfig, name: str, run: Path, overwrite: bool, device: str) -> None:
    done = read_information(run / LAST)["step"] if (run / LAST).is_file() else 0
    if done == config.steps and not overwrite:
        print(f"→ training: done before ({run}); --overwrite trains again")
        return
    print(f"→ training bridgenet-{name} ({len(open_dataset(config, 'train').tasks)} tasks, {config.steps} steps)")
    resume = done > 0 and not overwrite
    train(config, run, resume=resume, overwrite=not resume and (run / "config.yaml").is_file(), device=device)


Row = tuple[str, str, str, str, str]


def comparison(scores: Scores, constant: Scores) -> list[Row]:
    """Rows of text: task, metric, network, best constant, and by how much the network is better."""
    rows = []
    for name, values in scores.items():
        task = tasks.get(name)
        headline = task.headline_in(values, constant[name])
        value, base = values[headline.key], constant[name][headline.key]
        up = headline.higher_is_better
        better = (value - base if up else base - value) / max(abs(base), 1e-12)
        gain = f"{better + 1:.0f}×" if up and better >= 1 else f"{100 * better:.0f} %"
        rows.append((name, headline.heading, in_words(headline, value), in_words(headline, base), gain))
    return rows


HEADER: Row = ("task", "metric", "bridgenet", "best constant", "better by")


def text_table(rows: list[Row]) -> str:
    """Format the comparison as an aligned table."""
    return "\n".join(f"    {a:<10}{b:<10}{c:>12}{d:>16}{e:>12}" for a, b, c, d, e in [HEADER, *rows])


def report(rows: list[Row], curves: Image.Image, panels: dict[str, Image.Image], facts: str, scene: str) -> str:
    """The report as a self-contained HTML page."""
    columns = [blocks.Column(title, numeric=number > 1) for number, title in enumerate(HEADER)]
    table = blocks.Table(columns, [blocks.Row([blocks.Cell(cell) for cell in row]) for row in rows])
    sections = [
        blocks.Section("Scores", [table]),
        blocks.Section("Training", [blocks.Figure(curves, "training curves", width=None)]),
        blocks.Section("Predictions", []),
    ]
    for name, picture in panels.items():
        alt, caption = f"predictions for {scene} {name}", f"{scene} {name}: above predictions, below truth"
        sections[-1].blocks.append(blocks.Figure(picture, alt, caption, width=None))
    return page("BridgeNet demo", ABOUT.format(scenes=f"{scene}s"), sections, facts)


ABOUT = (
    "A small BridgeNet, trained from scratch on synthetic {scenes}, on {scenes} that it has not seen; beside it the best "
    "constant prediction made from the training {scenes}."
)
