"""Evaluation during training; the best weights so far are saved."""

from __future__ import annotations

from bridgenet.checkpoints import BEST, save
from bridgenet.config.resolved import evaluation_size, shrink_of
from bridgenet.evaluation.evaluate import score_split
from bridgenet.training.prepare import Prepared
from bridgenet.training.processes import share_statistics
from bridgenet.training.reporting import Reporter, prediction_panels


def evaluate_and_save_best(run: Prepared, reporter: Reporter) -> None:
    """Score the validation split, log scores and images, and write `best` if the scores are the best so far. A collective call."""
    config, network, progress = run.config, run.network, run.progress
    share_statistics(network, run.accelerator)
    scores = score_split(network, run.val_set, config, run.accelerator, progress=reporter.evaluating).scores
    gain, is_best = progress.add_scores(scores)
    if run.accelerator.is_main_process:
        reporter.log({"kind": "evaluation", "step": progress.step, "gain": gain, "scores": scores})
        size, shrink = evaluation_size(config), shrink_of(config)
        panels = prediction_panels(network, run.val_set, size, config.log_images, shrink=shrink)
        reporter.log_images(panels, progress.step)
        if is_best:
            save(network, run.out / BEST, information={"step": progress.step, "scores": scores})
    run.accelerator.wait_for_everyone()
