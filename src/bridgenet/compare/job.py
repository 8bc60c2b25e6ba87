"""A run of a comparison in its own process: train or resume, evaluate, write `result.json`.

    python -m bridgenet.compare.job JOB.json

SIGTERM stops it like a training run: the step is finished and the state saved. It also stops when its parent process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from bridgenet import config as configuration
from bridgenet.benchmark.machine import describe, in_words, versions
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError, failure_of_machine
from bridgenet.system.files import write_json
from bridgenet.system.parallel import stop_with_parent
from bridgenet.trust import trust

RESULT = "result.json"
INTERRUPTED, USER_ERROR = 130, 2


@dataclass(frozen=True)
class Job:
    """A run to train and evaluate.

    Attributes:
        folder: folder of the run.
        settings: the settings, see :meth:`bridgenet.config.settings.RunConfig.as_dict`.
        boundaries: evaluate odsF of the edge task, too.
        device: `auto` or `cpu`.
        trust: modules that settings may name.
        at_once: number of runs trained at the same time, including this one.
    """

    folder: str
    settings: dict[str, Any]
    boundaries: bool
    device: str
    trust: list[str]
    at_once: int = 1


def run_job(job: Job) -> dict[str, Any]:
    """Train and evaluate the run; returns the content of `result.json`: scores, training time [s], peak memory [bytes], machine.

    Raises:
        UserError, Interrupted: like :func:`bridgenet.training.run.train`.
    """
    import torch

    from bridgenet.checkpoints import LAST, read_information
    from bridgenet.config.resolved import open_dataset, weighting_note
    from bridgenet.evaluation.command import EvaluationOptions, evaluate_source
    from bridgenet.training.run import train

    trust(job.trust)
    folder = Path(job.folder)
    config = as_config(job.settings)
    device = torch.device("cpu" if job.device == "cpu" or not torch.cuda.is_available() else "cuda")
    note = weighting_note(config, len(open_dataset(config, "train")))
    last = folder / LAST
    done = read_information(last)["step"] if last.is_file() else 0
    if done < config.steps:
        train(config, folder, resume=(folder / "config.yaml").is_file(), device=job.device)
    options = EvaluationOptions(boundaries=job.boundaries, boundary_workers=1)
    # The last weights: the best ones were selected on the validation images.
    report = evaluate_source(str(last), config, out=folder, options=options, device=job.device)
    information = read_information(last)
    result = {
        "scores": report["scores"],
        "seconds": information.get("seconds"),
        "memory": information.get("memory") or None,  # 0: the system does not report it
        "steps": information["step"],
        "boundaries": job.boundaries,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "machine": in_words(describe([device.type]), versions()),
        "at_once": job.at_once,
        "note": note,
    }
    write_json(folder / RESULT, result)
    return result


def as_config(settings: dict[str, Any]) -> RunConfig:
    """Create the settings from :meth:`RunConfig.as_dict`."""
    return configuration.load(None, changes={"the run's settings": settings})


def main(path: str) -> int:
    """Run a job; returns the exit code: 0, 2 for user errors, 130 if interrupted."""
    from bridgenet.training.run import Interrupted

    threading.Thread(target=stop_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        job = Job(**json.loads(Path(path).read_text(encoding="utf-8")))
        # The process of a comparison that was killed may still be saving.
        with FileLock(f"{job.folder}.lock"):
            run_job(job)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except (RuntimeError, MemoryError) as error:
        if (failure := failure_of_machine(error)) is None:
            raise
        print(f"error: {failure}", file=sys.stderr)
        return USER_ERROR
    except (Interrupted, KeyboardInterrupt):
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
