"""Two data sets with different tasks train one network, and labels that are missing at random do no harm.

Renders two sets of rooms and describes them as folders of one's own: one with semantic segmentation and normals alone, the
other with depth and boundaries alone. A small network is trained on both together, then on both with a tenth of the label
files removed. Both must beat the best constant prediction on every task: by 30 % (boundaries: the clean loss, by 15 %).

    python benchmarks/partial_labels.py [--out FOLDER] [--steps N]

Ends with exit code 1 if a task does not. About 13 minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import yaml

from bridgenet import config as configuration
from bridgenet import tasks
from bridgenet.cli.main import run as bridgenet
from bridgenet.config.resolved import evaluation_size, open_dataset
from bridgenet.data.base import class_lists
from bridgenet.evaluation.baseline import constant_logits, evaluate_constant
from bridgenet.synthetic import generate
from bridgenet.tasks.scores import in_words
from bridgenet.training.run import train

SIZE = (96, 128)
NUM_TRAIN, NUM_VAL = 240, 60
REMOVED = 0.1
WANTED = {"edge": ("loss_clean", 0.15)}
"""Metric and share to be better by, where they are not the headline and 0.3."""
TASKS = {
    "surfaces": {
        "semseg": {"folder": "segmentation", "classes": dict(enumerate(class_lists()["nyu40"], 1)), "ignore": [0]},
        "normals": {"folder": "normals"},
    },
    "shapes": {"depth": {"folder": "depth", "unit": "m", "range": [0.01, 50]}, "edge": {"folder": "edge"}},
}


def make(out: Path) -> list[str]:
    """The two folders with their descriptions; the paths of these."""
    found = []
    for seed, (name, entries) in enumerate(TASKS.items(), start=1):
        folder = out / name / "NYUDv2"
        if not folder.is_dir():
            generate("nyud", out / name, train=NUM_TRAIN, val=NUM_VAL, size=SIZE, seed=seed)
        for task in ("segmentation", "normals", "depth", "edge"):  # really without the other labels
            if task not in {entry["folder"] for entry in entries.values()}:
                shutil.rmtree(folder / task, ignore_errors=True)
        split = {split: f"gt_sets/{split}.txt" for split in ("train", "val")}
        description = {"name": name, "split": split, "size": list(SIZE), "tasks": entries}
        (folder / "data.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
        found.append(str(folder / "data.yaml"))
    return found


def thinned(sources: list[str], out: Path) -> list[str]:
    """Copies of the folders without a tenth of the label files, chosen at random."""
    rng = np.random.default_rng(0)
    found = []
    for source in sources:
        copy = out / "thinned" / Path(source).parent.parent.name / "NYUDv2"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(Path(source).parent, copy)
        for entry in yaml.safe_load(Path(source).read_text())["tasks"].values():
            files = sorted((copy / entry["folder"]).iterdir())
            for index in rng.choice(len(files), round(REMOVED * len(files)), replace=False):
                files[index].unlink()
        found.append(str(copy / "data.yaml"))
    return found


def learn(name: str, sources: list[str], out: Path, steps: int) -> bool:
    """Train, evaluate and report; whether every task is as much better than the best constant as it must be."""
    settings = [f"--data.name={json.dumps(sources)}", f"--steps={steps}", f"--evaluate-every={steps // 3}"]
    config = configuration.load("demo", settings)
    train(config, out / name, overwrite=(out / name).exists())
    if bridgenet(["evaluate", str(out / name)]) or bridgenet(["report", str(out / name)]):
        return False
    told = json.loads((out / name / "evaluation.json").read_text())
    constant = evaluate_constant(
        constant_logits(open_dataset(config, "train")), open_dataset(config, "val"), evaluation_size(config)
    )
    print(f"\n{name}: {told['images']} validation images, labelled {told['labelled']}")
    print(f"in training: {told['labelled_in_training']}")
    print(f"{'task':<10}{'metric':<12}{'network':>10}{'constant':>10}{'better by':>11}{'wanted':>8}")
    fine = True
    for task, scores in told["scores"].items():
        headline = tasks.get(task).headline_in({})
        key, wanted = WANTED.get(task, (headline.key, 0.3))
        value, base = scores[key], constant[task][key]
        gain = (value / base - 1) if headline.higher_is_better else 1 - value / base
        fine &= gain >= wanted
        words = [in_words(headline, number) for number in (value, base)]
        print(f"{task:<10}{key:<12}{words[0]:>10}{words[1]:>10}{100 * gain:>9.0f} %{100 * wanted:>6.0f} %")
    return fine


def main() -> int:
    """The two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/partial-labels"))
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    whole = make(options.out)
    results = [
        learn("two-sets", whole, options.out, options.steps),
        learn("a-tenth-removed", thinned(whole, options.out), options.out, options.steps),
    ]
    print("as wanted" if all(results) else "NOT as wanted")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
