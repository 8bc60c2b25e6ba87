"""`bridgenet convert` and `bridgenet inspect`."""

from __future__ import annotations

import argparse
import json

from bridgenet.cli.arguments import PARTLY_DONE, MakeParser, add_network_config, add_trust
from bridgenet.export.formats import is_exported
from bridgenet.system.terminal import printable


def add_command(command: MakeParser) -> None:
    """Add the parsers of both commands."""
    text = "convert BridgeNet weights from the authors' format to this project's, or back"
    parser = command(
        "convert", text, epilog="Released checkpoints: .pth.tar; own weights: .safetensors; hub: a folder."
    )
    parser.add_argument("source", help="weights, folder of a run or of the hub, or a hub name")
    parser.add_argument(
        "destination", help=".pth.tar or .pth: the authors' format; .safetensors: this project's; else a hub folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="overwrite what is there")
    parser.add_argument("--license", "--licence", help="licence that is recorded with the weights, e.g. mit")
    add_network_config(parser)
    add_trust(parser)

    parser = command("inspect", "describe a weight file or an exported network")
    parser.add_argument("source", help="weights, folder of a run or of the hub, a hub name, or .onnx or .pt2")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_network_config(parser)
    add_trust(parser)


def run_convert(options: argparse.Namespace, settings: list[str]) -> int:
    """Run `convert`; returns the exit code."""
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


def run_inspect(options: argparse.Namespace, settings: list[str]) -> int:
    """Run `inspect`; returns the exit code, which is 1 if the file has problems."""
    if is_exported(options.source):
        from bridgenet.export.predictor import open_exported

        description = open_exported(options.source).description
        rows = {"file": options.source, "backbone": description.backbone, **description.summary()}
        print(description.as_json() if options.json else "\n".join(f"{key:<10}{value}" for key, value in rows.items()))
        return 0
    from bridgenet.checkpoints.inspect import inspect

    found = inspect(options.source, config=options.config)
    if options.json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        print(printable(str(found)))
    return PARTLY_DONE if found.problems else 0
