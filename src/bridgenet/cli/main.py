"""The `bridgenet` command: it parses arguments, runs a command and reports errors."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bridgenet.cli import (
    app,
    benchmark,
    boundaries,
    compare,
    data,
    demo,
    evaluate,
    export,
    predict,
    report,
    train,
    weights,
)
from bridgenet.cli.arguments import INTERRUPTED, USER_ERROR
from bridgenet.config import KEYS
from bridgenet.downloads.pictures import refuse_address
from bridgenet.errors import UserError, failure_of_machine, nearest
from bridgenet.system.terminal import give_up_streams, prepare_streams, tell
from bridgenet.trust import trust
from bridgenet.version import __version__


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}\n       {self.format_usage().strip()}")


def build_parser() -> argparse.ArgumentParser:
    """Create the parser of all commands. Settings of runs are removed from the arguments before, see :func:`split_settings`."""
    parser = _Parser(
        prog="bridgenet", description="BridgeNet: many dense predictions from one network.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"bridgenet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, text: str, **options: Any) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False, **options)

    for module in (train, evaluate, predict, weights, export, compare, app, boundaries, report, data, benchmark, demo):
        module.add_command(command)
    return parser


def split_settings(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split arguments into those of the command and the settings of a run (`--NAME VALUE`, `--NAME=VALUE`)."""
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
    """Run a command; returns the exit code: 0, 1 if inputs were skipped or data have faults, 2 for user errors, 130 if interrupted."""
    prepare_streams()
    warnings.showwarning = lambda message, *_: tell(f"! {message}")  # type: ignore[assignment]
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        tell(f"error: {error}")
        return USER_ERROR
    except BrokenPipeError:  # the reader of the output ended, e.g. `| head`
        return INTERRUPTED
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED
    except (RuntimeError, MemoryError) as error:
        if (failure := failure_of_machine(error)) is None:
            raise
        tell(f"error: {failure}")
        return USER_ERROR
    except OSError as error:
        if error.errno is None:
            raise
        tell(f"error: {error.strerror}: {error.filename or 'writing'}")
        return USER_ERROR
    finally:
        give_up_streams()


def _run(arguments: Sequence[str]) -> int:
    if with_zero := next((text for text in arguments if "\0" in text), None):
        raise UserError(f"the argument {with_zero!r} has a zero byte, which no path or value may have")
    parser = build_parser()
    takes_settings = bool(arguments) and arguments[0] in ("train", "evaluate")
    own, settings = split_settings(arguments) if takes_settings else (list(arguments), [])
    try:
        options, unknown = parser.parse_known_args(own)
    except UserError as error:
        raise UserError(f"{error}{_dashed(own)}") from None
    if unknown:
        known = [*_flags(parser, options.command), *(f"--{key}" for key in KEYS if takes_settings)]
        name = unknown[0].partition("=")[0]  # may be a flag of another subcommand
        hint = _dashed(unknown) or nearest(name, [flag for flag in known if flag != name])
        raise UserError(f"unknown argument {unknown[0]}{hint}")
    paths = [value for value in vars(options).values() if isinstance(value, Path)]
    for text in own:
        value = text.partition("=")[2] if text.startswith("--") else text
        if Path(value) in paths:
            refuse_address(value)
    trust(getattr(options, "trust", []))
    return COMMANDS[options.command](options, settings)


def _dashed(arguments: Sequence[str]) -> str:
    """How to give a file whose name begins like a flag; empty if there is none among the arguments."""
    files = (text for text in arguments if text.startswith("-") and text != "-" and os.path.lexists(text))
    return "".join(f"\n       a file {text} is here: give ./{text}" for text in files)


def _flags(parser: argparse.ArgumentParser, command: str | None = None) -> list[str]:
    """The flags of a command and its subcommands; of all commands if None."""
    flags = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = [action.choices[command]] if command else action.choices.values()
            flags += [flag for entry in chosen for flag in _flags(entry)]
        else:
            flags += action.option_strings
    return flags


COMMANDS = {
    "train": train.run,
    "evaluate": evaluate.run,
    "predict": predict.run,
    "app": app.run,
    "export": export.run,
    "convert": weights.run_convert,
    "inspect": weights.run_inspect,
    "evaluate-boundaries": boundaries.run,
    "report": report.run,
    "compare": compare.run,
    "data": data.run_data,
    "weights": data.run_weights,
    "benchmark": benchmark.run,
    "demo": demo.run,
}
