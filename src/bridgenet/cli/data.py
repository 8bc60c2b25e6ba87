"""`bridgenet data` and `bridgenet weights`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridgenet.cli.arguments import INTERRUPTED, PARTLY_DONE, MakeParser
from bridgenet.cli.progress import ProgressLine
from bridgenet.downloads.fetch import partial_size
from bridgenet.downloads.weights import WEIGHTS, download, find
from bridgenet.errors import UserError
from bridgenet.synthetic import SCENES, generate
from bridgenet.system.files import replacing
from bridgenet.system.terminal import printable

SCENES_BY_DEFAULT = {"layout": "nyud", "train": 240, "val": 60, "size": (96, 128), "seed": 0, "difficulty": "plain"}
"""Defaults of `bridgenet data generate`."""


def add_command(command: MakeParser) -> None:
    """Add the parsers of both commands."""
    add = _subcommands(command("data", "generate, download, describe, check and show data"), "data_command")

    generate = add("generate", "render synthetic rooms or streets in the layout of a published data set")
    generate.add_argument("--out", type=Path, required=True, help="data root: the data set's folder is created in it")
    generate.add_argument("--benchmark", metavar="NAME", help="rooms-v1: fixed scenes in OUT/NAME")
    layouts = ["nyud", "pascal", "cityscapes", "cityscapes_mtan"]
    generate.add_argument("--layout", choices=layouts, help=f"default: {SCENES_BY_DEFAULT['layout']}")
    generate.add_argument("--train", type=int, help=f"training images (default: {SCENES_BY_DEFAULT['train']})")
    generate.add_argument("--val", type=int, help=f"validation images (default: {SCENES_BY_DEFAULT['val']})")
    generate.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="pixels (default: 96 128)")
    generate.add_argument("--seed", type=int, help=f"default: {SCENES_BY_DEFAULT['seed']}")
    generate.add_argument("--difficulty", choices=["plain", "hard"], help="of rooms (default: plain)")

    download = add("download", "download a published data set and unpack it")
    _dataset(download)
    _urls(download)
    download.add_argument("--keep-archive", action="store_true", help="do not delete the archive after unpacking")

    check = add("check", "read every file of a data folder and report all faults")
    _dataset(check, own=True)
    check.add_argument("--tasks", nargs="+", help="only the labels of these tasks")
    check.add_argument("--workers", type=int, help="processes (default: one per processor core)")
    check.add_argument("--all", action="store_true", help="print every fault, not only the first of each kind")

    show = add("show", "draw samples with their labels as one image")
    _dataset(show, own=True)
    show.add_argument("--split", choices=["train", "val"], default="train")
    show.add_argument("--count", type=int, default=6, help="number of samples (default: 6)")
    show.add_argument("--tasks", nargs="+", help="only the labels of these tasks")
    show.add_argument("--out", type=Path, help="file of the image (default: NAME-SPLIT.png here)")

    init = add("init", "write the description of a custom data folder, from its content")
    init.add_argument("folder", type=Path, help="folder with images/ and one folder of labels per task")
    init.add_argument("--out", type=Path, help="file of the description (default: data.yaml in the folder)")
    init.add_argument("--overwrite", action="store_true", help="overwrite an existing file")

    add = _subcommands(command("weights", "list and download published weights"), "weights_command")
    add("list", "list weights with source and licence")
    weights = add("download", "download weights")
    weights.add_argument("name", metavar="NAME", help="a name that `bridgenet weights list` prints")
    weights.add_argument("--out", type=Path, default=Path(), help="folder (default: the current one)")
    _urls(weights)


def run_data(options: argparse.Namespace, settings: list[str]) -> int:
    """Run `bridgenet data`; returns the exit code."""
    commands = {"generate": _generate, "download": _download, "check": _check, "show": _show, "init": _init}
    return commands[options.data_command](options)


def run_weights(options: argparse.Namespace, settings: list[str]) -> int:
    """Run `bridgenet weights`; returns the exit code."""
    return {"list": _list_weights, "download": _download_weights}[options.weights_command](options)


def _subcommands(parser: argparse.ArgumentParser, dest: str) -> Callable[..., argparse.ArgumentParser]:
    parsers = parser.add_subparsers(dest=dest, metavar="COMMAND", required=True, parser_class=type(parser))
    return lambda name, text: parsers.add_parser(name, help=text, description=text, allow_abbrev=False)


def _dataset(parser: argparse.ArgumentParser, *, own: bool = False) -> None:
    names, text = "nyud|pascal|cityscapes|…", "the data set"
    if own:
        names, text = f"{names}|YAML", f"{text}, or the YAML file that describes a custom folder"
    parser.add_argument("dataset", metavar=names, help=text)
    parser.add_argument("--root", type=Path, help="data root: holds the data set's folder (default: $BRIDGENET_DATA)")


def _urls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", nargs="+", action="extend", default=[], help="addresses to try before the known ones (http, https)"
    )


def _generate(options: argparse.Namespace) -> int:
    given = {key: getattr(options, key) for key in SCENES_BY_DEFAULT if getattr(options, key) is not None}
    if "size" in given:
        given["size"] = tuple(given["size"])
    if options.benchmark is not None:
        return _generate_benchmark(options.benchmark, options.out, given)
    started = time.perf_counter()
    chosen: dict[str, Any] = {**SCENES_BY_DEFAULT, **given}
    layout, (height, width) = chosen.pop("layout"), chosen["size"]
    folder = generate(layout, options.out, **chosen, progress=ProgressLine("rendering"))
    seconds = time.perf_counter() - started
    what = f"{chosen['train']} train + {chosen['val']} val {SCENES[layout]} of {height}×{width}"
    print(f"{what} in {seconds:.1f} s → {folder}")
    return 0


def _generate_benchmark(name: str, out: Path, given: dict[str, Any]) -> int:
    """Generate a benchmark. UserError for options that contradict it."""
    from bridgenet.synthetic import benchmarks

    benchmark = benchmarks.find(name)
    for key, value in given.items():
        if value != (fixed := getattr(benchmark, key)):
            said, meant = (" ".join(map(str, v)) if isinstance(v, tuple) else v for v in (value, fixed))
            raise UserError(f"--{key} {said}: {name} is fixed at {meant}. Leave the option out, or --benchmark")
    folder = benchmarks.make(name, out, ProgressLine("rendering"))
    height, width = benchmark.size
    size = f"'[{height}, {width}]'"
    print(f"{name}: {benchmark.train} train + {benchmark.val} val of {height}×{width} → {folder}")
    print(
        f"to train on it: bridgenet train demo --data.root {folder.parent} --data.size {size} --data.eval-size {size} "
        f"--out runs/{name}"
    )
    return 0


def _download(options: argparse.Namespace) -> int:
    from bridgenet import data
    from bridgenet.data.published import download as archives

    info = data.info(options.dataset)
    try:
        root = data.data_root(options.root, flag="--root")
    except UserError as error:
        raise UserError(f"{info.name}: {error}") from None
    how_to_check = f"to check it: bridgenet data check {info.name} --root {root}"
    try:
        folder, digest = archives.download(
            info.name,
            root,
            urls=options.url,
            keep_archive=options.keep_archive,
            downloading=ProgressLine("downloading", "bytes"),
            unpacking=ProgressLine("unpacking", "bytes"),
        )
    except KeyboardInterrupt:
        return _interrupted(archives.archive_path(info.name, root))
    if not digest:
        print(f"{folder} exists already and was not changed; move it away to download it again")
    else:
        print(f"sha256 of the archive: {digest}")
    print(f"→ {folder}   {how_to_check}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from bridgenet.data.checks.check import check

    root = _root(options)
    started = time.perf_counter()
    progress = ProgressLine("checking")
    report = check(options.dataset, root, tasks=options.tasks, workers=options.workers, progress=progress)
    print(printable(report.text(everything=options.all)))
    print(f"  {sum(report.counts.values())} samples checked in {time.perf_counter() - started:.1f} s")
    return PARTLY_DONE if report.faults else 0


def _root(options: argparse.Namespace) -> Path:
    from bridgenet import data

    return data.data_root(options.root, flag="--root") if data.info(options.dataset).needs_root else Path()


def _show(options: argparse.Namespace) -> int:
    from bridgenet import data
    from bridgenet.data.checks.show import chosen_samples, sheet

    if options.count < 1:
        raise UserError(f"--count {options.count}: expected 1 or more")
    source = data.get(options.dataset)
    dataset = source(_root(options), options.split, options.tasks)
    indices = chosen_samples(dataset, options.count)
    out = options.out or Path(f"{dataset.info.file_name}-{options.split}.png")
    picture = sheet(dataset, indices)
    with replacing(out) as partial:
        picture.save(partial, format="PNG")
    print(f"→ {out}   {len(indices)} of {len(dataset)} samples of {options.split}, {', '.join(dataset.tasks)}")
    return 0


def _init(options: argparse.Namespace) -> int:
    from bridgenet.data.folders.initial import write_description

    print(printable(write_description(options.folder, options.out, overwrite=options.overwrite)))
    return 0


def _list_weights(options: argparse.Namespace) -> int:
    for weights in WEIGHTS.values():
        print(f"{weights.name}\n    {weights.about}; licence: {weights.licence}")
        for url in weights.urls:
            print(f"    {url.format(file=weights.file)}")
        if not weights.urls:
            print(f"    no address is known; {weights.hint}: give it with --url")
    return 0


def _download_weights(options: argparse.Namespace) -> int:
    weights = find(options.name)
    try:
        progress = ProgressLine("downloading", "bytes")
        path, digest = download(options.name, options.out, urls=options.url, progress=progress)
    except KeyboardInterrupt:
        return _interrupted(options.out / weights.file)
    print(f"sha256 {digest}   licence: {weights.licence}")
    print(f"→ {path}   to use it: {weights.use.format(path=path)}")
    return 0


def _interrupted(target: Path) -> int:
    kept = (target.stat().st_size if target.exists() else partial_size(target)) / 1e6
    print(f"\nstopped; {kept:.1f} MB are kept. Run the same command again to resume")
    return INTERRUPTED
