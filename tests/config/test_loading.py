from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bridgenet import UserError, config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return path


def test_presets_are_there() -> None:
    sizes = [
        f"{data}-{backbone}" for data in ("nyud", "pascal") for backbone in ("internimage-base", "internimage-large")
    ]
    sizes += [f"{data}-{backbone}" for data in ("nyud", "pascal") for backbone in ("vit-base", "vit-large")]
    others = ["nyud-dinov3-small", "nyud-dinov3-base", "nyud-dinov3-large", "nyud-dinov2-base", "nyud-swin-base"]
    others += ["nyud-convnext-base", "pascal-dinov3-base"]
    assert {*sizes, *others, "demo"} <= set(config.presets())


@pytest.mark.parametrize("name", config.presets())
def test_presets_round_trip(name: str, tmp_path: Path) -> None:
    """What --print-config prints is read as what was printed, and says only plain YAML types."""
    settings = config.load(name)
    text = yaml.safe_dump(settings.as_dict(), sort_keys=False)
    assert config.load(write(tmp_path, text)).as_dict() == settings.as_dict()


def test_published_recipe() -> None:
    """The settings that the paper's recipes differ in."""
    large, pascal = config.load("nyud-vit-large"), config.load("pascal-internimage-base")
    assert (large.optimizer.name, large.optimizer.lr, large.optimizer.weight_decay) == ("adam", 2e-5, 5e-6)
    assert large.loss.weights == {"edge": 70}
    assert (large.steps, large.batch_size, large.network.decoder.complete()["refine_depth"]) == (20000, 3, 18)
    assert (pascal.optimizer.name, pascal.optimizer.lr, pascal.optimizer.weight_decay) == ("adamw", 6e-5, 0.05)
    assert (pascal.steps, pascal.batch_size, pascal.network.decoder["refine_depth"]) == (40000, 4, 12)
    assert pascal.network.drop_path == 0.4


def test_overrides() -> None:
    settings = config.load(
        "demo",
        ["--optimizer.lr", "1e-5", "--network.drop-path=0.25", "--batch-size", "2", "--data.size", "[32,64]",
         "--data.tasks", "[depth]", "--network.backbone.depth", "4", "--data.root", "/x"],
    )  # fmt: skip
    assert settings.optimizer.lr == 1e-5
    assert settings.network.drop_path == 0.25
    assert settings.batch_size == 2
    assert tuple(settings.data.size or ()) == (32, 64)
    assert settings.data.tasks == ["depth"]
    assert settings.network.backbone == {"name": "resnet10t", "strides": [2, 4, 8, 16], "depth": 4}


def test_hyphens_are_underscores() -> None:
    assert config.load("demo", ["--evaluate-every", "7"]) == config.load("demo", ["--evaluate_every", "7"])


def test_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("steps: 5\n")
    assert config.load(tmp_path).steps == 5


def test_nothing_given() -> None:
    assert config.load(None) == config.RunConfig()


def test_all_that_is_wrong_in_a_file_is_told_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        optimizer: {learning_rate: 1.0e-5, lr: fast}
        network: 3
        setps: 4
        data: {tasks: [depht], name: nuyd}
        """,
    )
    with pytest.raises(UserError) as error:
        config.load(path)
    lines = [line.strip() for line in str(error.value).splitlines()]
    assert all(line.startswith(f"{path}: ") for line in lines)
    words = "\n".join(line.removeprefix(f"{path}: ") for line in lines)
    assert "unknown key optimizer.learning_rate (did you mean optimizer.lr?)" in words
    assert "unknown key setps (did you mean steps?)" in words
    assert "network is 3, expected a group of settings" in words
    assert (
        "tasks: 'depht' is not a task (did you mean depth?) (semseg, depth, human_parts, sal, normals, edge, " in words
    )
    assert "'nuyd' is not a data set (did you mean nyud?)" in words
    assert "optimizer.lr" in words
    assert "fast" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "is not valid YAML"),
        ("steps: 1\nsteps: 2", "steps is there twice .*line 2"),
        ("- 1\n- 2", "holds a list, expected settings"),
        ("just words", "holds a str, expected settings"),
        ("1: 2", "unknown key 1"),
        ("precision: float16", "precision"),
        ("data: {size: [1]}", "data.size"),
        ("loss: {weights: {edgy: 1}}", "'edgy' is not a task"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=rf"my\.yaml.*{words}"):
        config.load(write(tmp_path, text))


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"my\.yaml is no"):
        config.load(path)


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"nyud-vit-lage is neither a preset \(did you mean nyud-vit-large\?\) nor a file"
    ):
        config.load("nyud-vit-lage")
    with pytest.raises(UserError, match=r"is not a run folder \(looked for config\.yaml"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["--optimizer.learning_rate", "1"],
            r"unknown option --optimizer\.learning_rate \(did you mean --optimizer\.lr\?\)",
        ),
        (["--optimizer.lr", "fast"], r"--optimizer\.lr.*fast"),
        (["--optimizer.lr"], r"--optimizer\.lr"),
        (["--steps", "0"], "--steps is 0, expected a whole number, at least 1"),
        (["--steps", "1.5"], "--steps"),
        (["--optimizer.lr", "-1"], "--optimizer.lr is -1, expected a number, more than 0"),
        (["--loss.uncertainty_lr", "0"], "--loss.uncertainty_lr is 0, expected a number, more than 0"),
        (["--loss.intermediate_weight", "-1"], "--loss.intermediate_weight is -1, expected a number, at least 0"),
        (["--data.workers=-1"], "--data.workers is -1, expected a whole number, at least 0"),
        (["--data.size", "[0, 5]"], "data.size is"),
        (["--data.tasks", "[depht]"], r"'depht' is not a task \(did you mean depth\?\)"),
        (["--data.name", "nyu"], r"'nyu' is not a data set \(did you mean nyud\?\)"),
        (["--precision", "float16"], "--precision"),
        (["--network", "3"], "--network"),
    ],
)
def test_wrong_overrides(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config.load(None, overrides)
