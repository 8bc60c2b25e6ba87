"""Hard rooms: more in them, worse lit, and labels as exact as ever. Plain rooms stay what they were."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bridgenet.cli.main import run
from bridgenet.errors import UserError
from bridgenet.synthetic import Difficulty, generate, render
from bridgenet.synthetic.benchmarks import BENCHMARKS
from bridgenet.synthetic.raycast import Scene
from bridgenet.synthetic.rooms import compose
from bridgenet.synthetic.writers import boundaries, label_map

SIZE = (48, 64)


@pytest.fixture(scope="module")
def rooms() -> dict[str, list[Scene]]:
    """The same 12 seeds, plain and hard."""
    levels: tuple[Difficulty, ...] = ("plain", "hard")
    return {level: [render([8, i], SIZE, "nyud", level) for i in range(12)] for level in levels}


def _instances(scene: Scene) -> int:
    """Objects that show at least 4 pixels."""
    ids, counts = np.unique(scene.instances, return_counts=True)
    return int(((ids > 6) & (counts >= 4)).sum())


def test_there_is_more_in_them_and_more_of_it_is_near(rooms: dict[str, list[Scene]]) -> None:
    objects = {level: np.mean([_instances(s) for s in scenes]) for level, scenes in rooms.items()}
    assert objects["hard"] > 1.25 * objects["plain"]
    near = {level: np.mean([(s.depth < 1.8).mean() for s in scenes]) for level, scenes in rooms.items()}
    assert near["hard"] > 1.3 * near["plain"]
    edges = {level: np.mean([boundaries(s.instances).mean() for s in scenes]) for level, scenes in rooms.items()}
    assert edges["hard"] > edges["plain"]


def test_they_are_darker_and_vary_more(rooms: dict[str, list[Scene]]) -> None:
    brightness = {level: np.array([s.rgb.mean() for s in scenes]) for level, scenes in rooms.items()}
    assert brightness["hard"].mean() < brightness["plain"].mean() - 15
    assert brightness["hard"].std() > 2 * brightness["plain"].std()
    assert brightness["hard"].min() > 20  # dark, not black


def test_labels_stay_valid(rooms: dict[str, list[Scene]]) -> None:
    for scene in rooms["hard"]:
        labels = label_map(scene, "nyu")
        assert labels.min() >= 1 and labels.max() <= 40
        assert set(np.unique(scene.instances)) <= set(scene.kinds)
        assert np.isfinite(scene.depth).all() and scene.depth.min() > 0.2 and scene.depth.max() < 12
        assert np.abs(np.linalg.norm(scene.normals, axis=-1) - 1).max() < 1e-5
        assert scene.rgb.std() > 3


def test_rare_classes_occur_in_few_rooms() -> None:
    """Composed, not rendered: every class that plain rooms lack is somewhere in 120 rooms, none in a third of them."""
    kinds = [set(compose(np.random.default_rng([3, i]), "nyud", hard=True).kinds.values()) for i in range(120)]
    plain = [set(compose(np.random.default_rng([3, i]), "nyud").kinds.values()) for i in range(40)]
    for names in ({"shelf"}, {"clothes"}, {"shower curtain"}, {"stool"}, {"pillar", "radiator"}):
        assert 1 <= sum(bool(found & names) for found in kinds) < 40
        assert not any(found & names for found in plain)


def test_solids_stay_in_the_room_and_off_the_camera() -> None:
    for i in range(20):
        room = compose(np.random.default_rng([4, i]), "nyud", hard=True)
        for solid in room.primitives:
            centre = np.array(solid.centre)
            assert (centre > -0.05).all() and (centre < np.array(room.size) + 0.05).all(), room.kinds[solid.instance]
            assert np.linalg.norm(centre - room.camera.position) > min(solid.half)


def test_both_layouts_of_rooms_and_no_streets(tmp_path: Path) -> None:
    assert render([0, 0], SIZE, "pascal", "hard").rgb.shape == (*SIZE, 3)
    with pytest.raises(UserError, match="layout cityscapes holds streets, expected one of rooms: nyud or pascal"):
        render([0, 0], SIZE, "cityscapes", "hard")
    with pytest.raises(UserError, match=r"'hart' is not one \(did you mean hard\?\)"):
        generate("nyud", tmp_path, train=1, val=0, size=SIZE, difficulty="hart")  # type: ignore[arg-type]
    command = ["data", "generate", "--layout", "cityscapes", "--difficulty", "hard", "--out", str(tmp_path)]
    assert run(command) == 2
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_not_plain_is_recorded(tmp_path: Path) -> None:
    command = ["data", "generate", "--train", "1", "--val", "0", "--size", "32", "40"]
    assert run([*command, "--out", str(tmp_path / "a"), "--difficulty", "hard"]) == 0
    assert run([*command, "--out", str(tmp_path / "b")]) == 0
    hard, plain = (json.loads((tmp_path / name / "NYUDv2/scenes.json").read_text()) for name in "ab")
    assert hard == plain | {"difficulty": "hard"} and "difficulty" not in plain


@pytest.mark.parametrize(
    ("seed", "difficulty", "expected"),
    [
        (3, "plain", "09f26df7df94c75a0f3d69e854475d7894857ea8b150239b24d2486f09d41db7"),
        (BENCHMARKS["rooms-v1"].seed, "hard", "b9fbb2178f40d6bcb1daa6c12b965c179a655871c335fc92b86e30ac2918d52c"),
    ],
)
def test_rooms_are_what_they_were(seed: int, difficulty: Difficulty, expected: str) -> None:
    """Which classes are where in four rooms. Other hard rooms need another `VERSION` and a benchmark of another name."""
    digest = hashlib.sha256()
    for i in range(4):
        digest.update(label_map(render([seed, 0, i], SIZE, "nyud", difficulty), "nyu").astype(np.uint8).tobytes())
    assert digest.hexdigest() == expected
