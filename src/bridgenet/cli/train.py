"""`bridgenet train`."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from bridgenet import config as configuration
from bridgenet.cli.arguments import INTERRUPTED, MakeParser, add_device, add_trust, is_main_process

SETTINGS_HELP = "any setting of the run can be given as --NAME VALUE, e.g. --optimizer.lr 1e-5; `bridgenet train CONFIG --print-config` lists them"


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("train", "train a network", epilog=SETTINGS_HELP)
    parser.add_argument("config", help="preset, YAML file, or folder of a run")
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/CONFIG; with --resume the run itself)"
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in the folder")
    parser.add_argument("--overwrite", action="store_true", help="delete the run in the folder and start again")
    parser.add_argument(
        "--print-config", "--print_config", action="store_true", help="print all settings as YAML and stop"
    )
    add_device(parser)
    add_trust(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    config = configuration.load(options.config, settings)
    if options.print_config:
        print(yaml.safe_dump(config.as_dict(), sort_keys=False), end="")
        return 0
    is_run = Path(options.config).is_dir()
    out = options.out or (Path(options.config) if is_run else Path("runs") / Path(options.config).stem)
    from bridgenet.training.run import Interrupted, train

    if is_run and not options.resume and out != Path(options.config) and config.init_from is None and is_main_process():
        print(
            f"note: a new run with the settings of {options.config}; its weights start anew (--init-from takes a run's)"
        )
    try:
        train(config, out, resume=options.resume, overwrite=options.overwrite, device=options.device)
    except Interrupted:
        if is_main_process():
            print(f"stopped; everything is saved. To resume: bridgenet train {out} --resume")
        return INTERRUPTED
    if is_main_process():
        print(f"→ {out}")
    return 0
