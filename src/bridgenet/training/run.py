"""The training run: a step-based loop on Accelerate, from one CPU to many GPUs and machines.

Everything random follows from seed and step: the order of samples, their augmentation, and drop path, whose generator is
seeded anew at every step. So a run that is killed and resumed gives the losses of one that was never stopped.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import ProjectConfiguration
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn

from bridgenet import data
from bridgenet.checkpoints import BEST, LAST, read_description, save
from bridgenet.checkpoints.backbone import backbone_settings, load_backbone
from bridgenet.config.resolved import (
    check_canvas,
    check_precision,
    evaluation_size,
    metric_classes,
    network_config,
    open_dataset,
    shrink_of,
    use_cpu,
)
from bridgenet.config.settings import RunConfig, check_exclusive
from bridgenet.data.checks.coverage import check_labels, count_labels, labels_in_words
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.cache import open_cache
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.data.pipeline.sampling import drawn
from bridgenet.errors import UserError
from bridgenet.evaluation.evaluate import evaluate
from bridgenet.losses import process_mean
from bridgenet.model.backbones.licences import RECORDED, licence_note, weights_information
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.config import build_network
from bridgenet.model.own import try_own_parts
from bridgenet.ops.linear import use_pointwise
from bridgenet.system.compilation import check_compiler
from bridgenet.system.files import write_atomically
from bridgenet.system.memory import peak_memory
from bridgenet.tasks.scores import Scores, gains, relative_gain
from bridgenet.training.checkpoint import load_last, save_last, truncate_rows
from bridgenet.training.folder import METRICS, check_folder, check_settings, clear_folder
from bridgenet.training.labels import SeenLabels
from bridgenet.training.optimisation import make_optimizer, poly_schedule
from bridgenet.training.parts import make_criterion, set_decoder_checkpointing
from bridgenet.training.reporting import Reporter, check_trackers, prediction_panels
from bridgenet.training.step import TrainingStep
from bridgenet.training.weighting import make_weighting, steps_per_epoch, weighting_note


def train(
    config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, device: str = "auto"
) -> Scores:
    """Train; returns the scores of the last evaluation.

    Args:
        config: settings of the run; they are written to `out/config.yaml`.
        out: folder of the run: `config.yaml`, `metrics.jsonl`, `last.safetensors`, `best.safetensors`, `tensorboard/`.
        resume: go on from `last`; from the start if the run was stopped before there was one.
        overwrite: delete the run that is there.
        device: `"auto"` or `"cpu"`.

    Raises:
        UserError: the folder is in use, data or weights are missing or bad, or the loss is not a number.
        Interrupted: stopped by Ctrl-C or SIGTERM; the step was finished and `last` written.
    """
    return Run(config, Path(out), resume=resume, overwrite=overwrite, device=device).train()


class Interrupted(Exception):
    """The run was asked to stop and did so between two steps."""


class Run:
    """One process's part of a training run."""

    def __init__(self, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, device: str):
        self.config, self.out = config, out
        # Everything that can be wrong with the input is found before the folder is touched.
        check_folder(out, resume=resume, overwrite=overwrite)
        if resume:
            check_settings(config, out)
        resume = resume and (out / LAST).is_file()
        check_trackers(config.trackers)
        check_exclusive(config)
        checkpoint = None if resume else config.network.backbone_checkpoint
        description = read_description(out / LAST)[0] if resume else network_config(config)
        metric_classes(config)
        if checkpoint:
            told = backbone_settings(description.backbone, checkpoint)
            description.backbone_kwargs = told | description.backbone_kwargs
        self.train_set, self.val_set = open_dataset(config, "train"), open_dataset(config, "val")
        check_canvas(self.val_set, evaluation_size(config))
        labels = check_labels(self.train_set)
        if config.data.weights is not None:
            drawn(self.train_set.parts, config.data.weights)
        self.accelerator = Accelerator(
            mixed_precision="no",  # Accelerate's is fixed for the life of the process: autocast is called for here
            cpu=use_cpu(device),
            log_with=config.trackers or None,
            project_config=ProjectConfiguration(project_dir=str(out), logging_dir=str(out / "tensorboard")),
            # Batch statistics are synchronised (GPU) or local and never used in training (CPU): no need to broadcast.
            # No static graph: it would forbid the micro-batches that are not synchronised.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)],
        )
        self.world, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        check_precision(config, self.accelerator.device.type)
        if config.compile:
            check_compiler(self.accelerator.device)
        torch.manual_seed(config.seed)
        self.network = build_network(description, pretrained=config.network.pretrained and not (resume or checkpoint))
        if checkpoint:
            load_backbone(self.network.backbone, checkpoint)
            self.network.information = weights_information(description.backbone, checkpoint)
        try_own_parts(self.network)
        if config.network.freeze_backbone:
            self.network.backbone.freeze()
        self.network.backbone.set_checkpointing(config.network.checkpoint_backbone)
        if config.network.checkpoint_decoder:
            set_decoder_checkpointing(self.network)
        use_pointwise(self.network)
        self.network.to(self.accelerator.device)
        self.optimizer = make_optimizer(
            self.network,
            name=config.optimizer.name,
            lr=config.optimizer.lr,
            weight_decay=config.optimizer.weight_decay,
            betas=tuple(config.optimizer.betas),
            layer_decay=config.optimizer.layer_decay,
        )
        self.criterion = make_criterion(config, list(self.network.tasks))
        self.weighting = make_weighting(
            config.loss.weighting,
            self.criterion,
            self.network,
            steps_per_epoch=steps_per_epoch(config, len(self.train_set), self.world),
        )
        if learned := list(self.weighting.named_parameters().values()):
            self.optimizer.add_param_group({"params": learned, "weight_decay": 0.0, "lr": config.loss.uncertainty_lr})
        nothing_yet = dict.fromkeys(("first_scores", "best_gain", "scores"))
        self.progress: dict[str, Any] = {"step": 0, **nothing_yet, "seconds": 0.0, "memory": 0}
        if resume:
            self.progress |= load_last(out, self.network, self.optimizer, self.weighting)
            self.network.information = {key: self.progress[key] for key in RECORDED if key in self.progress}
        self.seen = SeenLabels(list(self.network.tasks)) if self.train_set.partial else None
        if lacking := labels_in_words(labels, len(self.train_set)):
            self.network.information = {**self.network.information, "labels": lacking}
            if self.accelerator.is_main_process:
                print(f"note: labels in training: {lacking}")
        lacking = labels_in_words(count_labels(self.val_set), len(self.val_set))
        if lacking and self.accelerator.is_main_process:
            print(f"note: labels in validation: {lacking}")
        self._tell(began=not resume, from_file=checkpoint is not None)
        rows = self._prepare_folder(resume)
        self.schedule = poly_schedule(
            self.optimizer, steps=config.steps, power=config.optimizer.power, start_step=self.progress["step"]
        )
        self.model = self._distribute(self.network)
        self.step = TrainingStep(
            self.network,
            self.criterion,
            self.optimizer,
            model=self.model,
            precision=config.precision,
            grad_clip=config.optimizer.grad_clip,
            accumulate=config.accumulate,
            weighting=self.weighting,
            backend="inductor" if config.compile else None,
        )
        self.reporter = Reporter(self.accelerator, config, out, rows)

    def _tell(self, *, began: bool, from_file: bool) -> None:
        """What should not go unnoticed of the weights that the backbone begins with, and of the losses' weights."""
        if not began or not self.accelerator.is_main_process:
            return
        notes = (
            licence_note(self.network.information, from_file=from_file),
            weighting_note(self.config, len(self.train_set), self.world),
        )
        for note in filter(None, notes):
            print(f"note: {note}")
        settings = self.config.network
        if settings.freeze_backbone and not (settings.pretrained or from_file):
            print(
                "note: network.freeze_backbone keeps random weights: neither pretrained nor backbone_checkpoint is set"
            )

    def _prepare_folder(self, resume: bool) -> list[dict[str, Any]]:
        """Make, clear or tidy the folder, once every process has read what it needs of it; returns the rows kept."""
        self.accelerator.wait_for_everyone()
        rows: list[dict[str, Any]] = []
        if self.accelerator.is_main_process:
            if resume:
                for partial in self.out.glob(".*.partial-*"):  # of a write that was killed
                    partial.unlink()
                rows = truncate_rows(self.out / METRICS, self.progress["step"])
            else:
                clear_folder(self.out)
            settings = self.config.as_dict()
            settings["data"]["name"] = data.absolute(self.config.data.name)
            if data.info(self.config.data.name).needs_root:  # found from any folder
                settings["data"]["root"] = str(data.data_root(self.config.data.root).absolute())
            write_atomically(self.out / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
        self.accelerator.wait_for_everyone()
        return rows

    def _distribute(self, network: BridgeNet) -> nn.Module:
        if self.world > 1:
            if self.accelerator.device.type == "cuda":
                convert_sync_batchnorm(network)  # timm's knows its batch norms that hold an activation
            elif self.accelerator.is_main_process:
                print("note: PyTorch synchronises batch norms on GPUs only: each process keeps its own statistics here")
        return self.accelerator.prepare(network)

    def train(self) -> Scores:
        """The loop."""
        config = self.config
        batches = iter(self._loader())
        with _stop_signals() as stop, self.reporter:
            for step in range(self.progress["step"], config.steps):
                started = time.perf_counter()
                rate = self.optimizer.param_groups[0]["lr"]
                losses, norm = self._step(step, batches)
                self.progress["step"] = done = step + 1
                is_last = done == config.steps
                stopping = not is_last and self._asked_to_stop(stop, done)
                evaluating = done % config.evaluate_every == 0 or is_last
                saving = done % config.save_every == 0 or evaluating or stopping
                if done % config.log_every == 0 or saving:
                    row = self._row(losses, norm, rate)
                    if done % config.log_every == 0 or is_last:
                        self.reporter.log(row)
                    self._check_finite(row)
                seconds = time.perf_counter() - started
                self.progress["seconds"] += seconds
                self.reporter.advance(done, seconds)
                if evaluating:
                    self._evaluate()
                if saving:
                    self._save_last()
                if stopping:
                    raise Interrupted
        return self.progress["scores"]

    def _loader(self) -> Any:
        config = self.config
        cache = open_cache(self.train_set, config.data.cache, config.data.cache_folder)
        if cache is not None and self.accelerator.is_main_process:
            print(f"note: {cache.describe()}")
        return training_loader(
            self.train_set,
            size=config.data.size or self.train_set.info.size,
            batch_size=config.batch_size,
            seed=config.seed,
            num_workers=config.data.workers,
            start_step=self.progress["step"],
            end_step=config.steps,
            rank=self.rank,
            world=self.world,
            accumulate=config.accumulate,
            cache=cache,
            weights=config.data.weights,
            shrink=shrink_of(config),
            augment=config.data.augment,
        )

    def _step(self, step: int, batches: Iterator[dict[str, Any]]) -> tuple[dict[str, Tensor], Tensor]:
        """One optimiser step, everything random in it from the seed and the step; see :class:`TrainingStep`."""
        seed = np.random.SeedSequence([self.config.seed, step, self.rank]).generate_state(1)
        torch.manual_seed(int(seed[0]))
        device, names = self.accelerator.device, list(self.network.tasks)
        ready = (to_device(batch, device, names) for batch in batches)
        result = self.step(ready if self.seen is None else self.seen.watch(ready))
        self.schedule.step()
        return result

    def _row(self, losses: dict[str, Tensor], norm: Tensor, rate: float) -> dict[str, Any]:
        """The step's row of metrics.jsonl; no number of a task that nothing was labelled of. A collective call."""
        total, *others = process_mean(torch.stack(list(losses.values())).float()).tolist()
        named: dict[str, float | None] = dict(zip(list(losses)[1:], others))
        if self.seen is not None:
            seen = dict(zip(self.seen.tasks, process_mean(self.seen.of_last_step()).tolist()))
            named = {name: value if seen[name.rpartition("/")[2]] else None for name, value in named.items()}
        row = {
            "kind": "train",
            "step": self.progress["step"],
            "loss": total,
            "losses": named,
            "lr": rate,
            "grad_norm": norm.item(),
        }
        weights = self.weighting.weights()
        return row if weights is None else row | {"loss_weights": weights}

    def _check_finite(self, row: dict[str, Any]) -> None:
        """UserError if losses or gradient are no numbers, before such weights are saved."""
        if np.isfinite(row["loss"]) and np.isfinite(row["grad_norm"]):
            return
        bad = [name for name, value in row["losses"].items() if value is not None and not np.isfinite(value)]
        raise UserError(
            f"the loss is {row['loss']} at step {row['step']} (of: {', '.join(bad) or 'none'}), the norm of its gradient "
            f"{row['grad_norm']}. Lower optimizer.lr, or use precision float32. Nothing of this step was saved"
        )

    def _evaluate(self) -> None:
        self._share_statistics()
        scores = evaluate(
            self.network,
            self.val_set,
            size=evaluation_size(self.config),
            batch_size=self.config.evaluation_batch_size,
            workers=self.config.data.workers,
            rank=self.rank,
            world=self.world,
            shrink=shrink_of(self.config),
            precision=self.config.precision,
            metrics=metric_classes(self.config),
            progress=self.reporter.evaluating,
        ).scores
        self.progress["scores"] = scores
        self.progress["first_scores"] = self.progress["first_scores"] or scores
        gain = relative_gain(scores, self.progress["first_scores"])
        is_best = self.progress["best_gain"] is None or gain > self.progress["best_gain"]
        first = self.progress["first_scores"]
        is_best |= not gains(first, first)  # no score to compare with: the last one
        if is_best:
            self.progress["best_gain"] = gain
        if self.accelerator.is_main_process:
            self.reporter.log({"kind": "evaluation", "step": self.progress["step"], "gain": gain, "scores": scores})
            panels = prediction_panels(
                self.network,
                self.val_set,
                evaluation_size(self.config),
                self.config.log_images,
                shrink=shrink_of(self.config),
            )
            self.reporter.log_images(panels, self.progress["step"])
            if is_best:
                save(self.network, self.out / BEST, information={"step": self.progress["step"], "scores": scores})
        self.accelerator.wait_for_everyone()

    def _share_statistics(self) -> None:
        """All processes evaluate, and the first one saves, the first one's batch statistics (CPUs keep local ones)."""
        if self.world > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def _save_last(self) -> None:
        self.weighting.share_state()
        if self.accelerator.is_main_process:
            self.progress["memory"] = max(self.progress["memory"], peak_memory(self.accelerator.device) or 0)
            save_last(self.out, self.network, self.optimizer, self.weighting, self.progress)
        self.accelerator.wait_for_everyone()  # a process that left earlier would have the others ended while they write

    def _asked_to_stop(self, stop: threading.Event, step: int) -> bool:
        """Whether any process was; on GPUs processes ask each other at every tenth step, as asking waits for the device."""
        if self.world == 1:
            return stop.is_set()
        if step % 10 and self.accelerator.device.type != "cpu":
            return False
        asked = torch.tensor(float(stop.is_set()), device=self.accelerator.device)
        return bool(self.accelerator.reduce(asked, "sum").item())


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C acts at once.

    (SIGTERM after Ctrl-C does not: torchrun sends it to its processes, which are about to save.)
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    asked = 0.0

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if stop.is_set() and number == signal.SIGINT and time.monotonic() - asked > 1:
            raise KeyboardInterrupt
        asked = asked if stop.is_set() else time.monotonic()
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
