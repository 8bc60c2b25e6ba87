"""The command line: what each command takes, and how errors are told. The work is done in the modules it calls."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bridgenet import (
    cli_app,
    cli_benchmark,
    cli_boundaries,
    cli_compare,
    cli_data,
    cli_export,
    cli_predict,
    cli_report,
    extensions,
)
from bridgenet.config import KEYS
from bridgenet.errors import UserError, nearest
from bridgenet.progress import ProgressLine
from bridgenet.version import __version__

USER_ERROR, PARTLY_DONE, INTERRUPTED = 2, 1, 130

SETTINGS_HELP = "any setting of the run can be given as --NAME VALUE, e.g. --optimizer.lr 1e-5; `bridgenet train CONFIG --print-config` lists them"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}\n       {self.format_usage().strip()}")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their own flags (settings of runs are taken out of the arguments before)."""
    parser = _Parser(
        prog="bridgenet", description="BridgeNet: many dense predictions from one network.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"bridgenet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, text: str, **options: Any) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False, **options)

    train = command("train", "train a network", epilog=SETTINGS_HELP)
    train.add_argument("config", help="preset, YAML file, or folder of a run")
    train.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/CONFIG; with --resume the run itself)"
    )
    train.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    train.add_argument("--overwrite", action="store_true", help="delete the run in the folder and start again")
    train.add_argument(
        "--print-config", "--print_config", action="store_true", help="print all settings as YAML and stop"
    )
    _device(train)

    evaluate = command("evaluate", "score a network on a validation split", epilog=SETTINGS_HELP)
    evaluate.add_argument("source", help="folder of a run, or weights")
    evaluate.add_argument("config", nargs="?", help="preset or YAML file; default: the run's own settings")
    evaluate.add_argument("--out", type=Path, help="where evaluation.json and edge/ go (default: the run's folder)")
    evaluate.add_argument("--no-boundaries", action="store_true", help="leave out odsF, oisF and AP of the boundaries")
    evaluate.add_argument(
        "--boundary-workers", type=int, help="processes that count boundaries (default: one per core)"
    )
    evaluate.add_argument("--flip", action="store_true", help="average with the prediction for the mirror image")
    evaluate.add_argument("--scales", type=float, nargs="+", default=[1.0], help="average predictions at these scales")
    evaluate.add_argument("--reference", metavar="RUN|JSON", help="tell the gain Δm over these scores")
    _trust(evaluate)
    _device(evaluate)

    predict = cli_predict.add_command(command)
    _network_config(predict)
    _trust(predict)
    _device(predict)

    text = "BridgeNet weights from the authors' form to this project's, or back"
    convert = command(
        "convert", text, epilog="Released checkpoints: .pth.tar; own weights: .safetensors; hub: a folder."
    )
    convert.add_argument("source", help="weights, folder of a run or of the hub, or a hub name")
    convert.add_argument(
        "destination", help=".pth.tar or .pth: the authors' form; .safetensors: own; else a hub folder"
    )
    convert.add_argument("--overwrite", action="store_true", help="take the place of what is there")
    convert.add_argument("--license", "--licence", help="of the weights, recorded with them, e.g. mit")
    _network_config(convert)
    _trust(convert)

    inspect = command("inspect", "tell what a weight file is")
    inspect.add_argument("source", help="weights, folder of a run or of the hub, or a hub name")
    inspect.add_argument("--json", action="store_true", help="for programs")
    _network_config(inspect)
    _trust(inspect)

    exporting = cli_export.add_command(command)
    _network_config(exporting)
    _trust(exporting)

    _trust(cli_compare.add_command(command))
    cli_app.add_command(command)
    cli_boundaries.add_command(command)
    cli_report.add_command(command)
    cli_data.add_commands(command)
    cli_benchmark.add_command(command)

    demo = command("demo", "generate rooms or streets, train a small network on them, evaluate, draw and report")
    demo.add_argument("--layout", choices=["nyud", "cityscapes"], default="nyud", help="rooms (nyud) or streets")
    demo.add_argument("--out", type=Path, help="default: outputs/demo, of streets outputs/demo-cityscapes")
    demo.add_argument(
        "--overwrite", action="store_true", help="train again instead of going on with the run that is there"
    )
    _device(demo)
    return parser


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: the GPU if there is one")


def _network_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, help="JSON or YAML, the authors' keys: of unpublished networks in the authors' names"
    )


def _trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODULE",
        help="let weights name code of these modules",
    )


def split_settings(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without and with only the settings of a run (`--NAME VALUE`, `--NAME=VALUE`)."""
    own, settings = [], []
    words = iter(range(len(arguments)))
    for i in words:
        name = arguments[i][2:].partition("=")[0].replace("-", "_")
        if not arguments[i].startswith("--") or (name not in KEYS and "." not in name):
            own.append(arguments[i])
            continue
        settings.append(arguments[i])
        if "=" not in arguments[i] and i + 1 < len(arguments) and not arguments[i + 1].startswith("--"):
            settings.append(arguments[next(words)])
    return own, settings


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code: 0, 1 if part of the inputs was skipped, 2 for the user's mistakes."""
    warnings.showwarning = lambda message, *_: print(f"! {message}", file=sys.stderr)  # type: ignore[assignment]
    try:
        parser = build_parser()
        takes_settings = bool(arguments) and arguments[0] in ("train", "evaluate")
        own, settings = split_settings(arguments) if takes_settings else (list(arguments), [])
        options, unknown = parser.parse_known_args(own)
        if unknown:
            known = [*_flags(parser, options.command), *(f"--{key}" for key in KEYS if takes_settings)]
            name = unknown[0].partition("=")[0]  # may be a flag of another of the command's own commands
            raise UserError(f"unknown argument {unknown[0]}{nearest(name, [flag for flag in known if flag != name])}")
        extensions.trust(getattr(options, "trust", []))
        return COMMANDS[options.command](options, settings)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno is None:
            raise
        print(f"error: {error.strerror}: {error.filename or 'writing'}", file=sys.stderr)
        return USER_ERROR


def _flags(parser: argparse.ArgumentParser, command: str | None = None) -> list[str]:
    """The flags of a command and of the commands below it; of the whole parser if None."""
    flags = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = [action.choices[command]] if command else action.choices.values()
            flags += [flag for entry in chosen for flag in _flags(entry)]
        else:
            flags += action.option_strings
    return flags


def _train(options: argparse.Namespace, settings: list[str]) -> int:
    from bridgenet import config as configuration

    config = configuration.load(options.config, settings)
    if options.print_config:
        import yaml

        print(yaml.safe_dump(config.as_dict(), sort_keys=False), end="")
        return 0
    is_run = Path(options.config).is_dir()
    out = options.out or (Path(options.config) if is_run else Path("runs") / Path(options.config).stem)
    from bridgenet.training.run import Interrupted, train

    try:
        train(config, out, resume=options.resume, overwrite=options.overwrite, device=options.device)
    except Interrupted:
        if _is_main_process():
            print(f"stopped; everything is saved. To go on: bridgenet train {out} --resume")
        return INTERRUPTED
    if _is_main_process():
        print(f"→ {out}")
    return 0


def _evaluate(options: argparse.Namespace, settings: list[str]) -> int:
    from bridgenet import config as configuration
    from bridgenet.evaluate import EvaluationOptions, evaluate_source, settings_of
    from bridgenet.scores import read_scores, table

    is_run = (
        Path(options.source).is_dir() and not (Path(options.source) / "model.safetensors").is_file()
    )  # a hub folder
    if options.config or is_run:
        config = configuration.load(options.config or options.source, settings)
    else:
        config = configuration.load(None, [*settings_of(options.source), *settings])
    out = options.out or (Path(options.source) if is_run else Path("evaluation"))
    how = EvaluationOptions(
        boundaries=not options.no_boundaries,
        boundary_workers=options.boundary_workers,
        flip=options.flip,
        scales=tuple(options.scales),
        reference=options.reference,
    )
    report = evaluate_source(options.source, config, out=out, options=how, device=options.device, progress=ProgressLine)
    if _is_main_process():
        reference = read_scores(options.reference) if options.reference else None
        print(table(report["scores"], reference, report["labelled"], report["images"]))
        if report["test_time_augmentation"]:
            print(f"test-time augmentation: {report['test_time_augmentation']}")
        if "boundaries" in report:
            print(f"boundaries: {report['boundaries']['protocol']}, threshold {report['boundaries']['threshold']:g}")
        print(f"→ {out / 'evaluation.json'}" + (f"   {out / 'edge'}/" if "edge" in report["scores"] else ""))
    return 0


def _convert(options: argparse.Namespace, settings: list[str]) -> int:
    from bridgenet.checkpoints.convert import convert

    convert(
        options.source,
        options.destination,
        config=options.config,
        overwrite=options.overwrite,
        licence=options.license,
    )
    print(f"→ {options.destination} (read back and compared: equal to the bit)")
    return 0


def _inspect(options: argparse.Namespace, settings: list[str]) -> int:
    from bridgenet.checkpoints.inspect import inspect

    found = inspect(options.source, config=options.config)
    if options.json:
        import json

        print(json.dumps(found.as_dict(), indent=2))
    else:
        print(found)
    return PARTLY_DONE if found.problems else 0


def _demo(options: argparse.Namespace, settings: list[str]) -> int:
    from bridgenet.demo import DEMOS, demo
    from bridgenet.training.run import Interrupted

    preset = DEMOS[options.layout].preset
    out = options.out or Path("outputs") / preset
    try:
        demo(out, layout=options.layout, overwrite=options.overwrite, device=options.device)
    except Interrupted:
        layout = "" if options.layout == "nyud" else f" --layout {options.layout}"
        print(f"stopped; everything is saved. To go on: bridgenet demo{layout} --out {out}")
        return INTERRUPTED
    return 0


def _is_main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


COMMANDS = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": cli_predict.run,
    "app": cli_app.run,
    "export": cli_export.run,
    "convert": _convert,
    "inspect": _inspect,
    "evaluate-boundaries": cli_boundaries.run,
    "report": cli_report.run,
    "compare": cli_compare.run,
    "data": cli_data.run_data,
    "weights": cli_data.run_weights,
    "benchmark": cli_benchmark.run,
    "demo": _demo,
}
