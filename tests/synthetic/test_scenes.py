"""The synthetic rooms: same seed, same bytes; complete layouts; labels that agree with the geometry and each other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from bridgenet.errors import UserError
from bridgenet.synthetic import generate, render
from bridgenet.synthetic.description import KINDS, Builder, Camera, Room
from bridgenet.synthetic.geometry import Primitive, intersect, surface
from bridgenet.synthetic.raycast import look
from bridgenet.synthetic.textures import Material
from bridgenet.synthetic.writers import boundaries, label_map, salient

SIZE = (48, 64)
CLASSES = json.loads((Path(__file__).parents[2] / "src/bridgenet/data/classes.json").read_text())
GREY = Material("plain", ((0.5, 0.5, 0.5),))


def _digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _load_parts(path: Path) -> list[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
    """Objects of a PASCAL-Part file: class, mask, masks of the parts."""
    found = []
    for entry in scipy.io.loadmat(str(path))["anno"][0, 0]["objects"].ravel():
        parts = entry["parts"].ravel() if entry["parts"].size else []
        found.append(
            (int(entry["class_ind"].item()), entry["mask"], {str(p["part_name"].item()): p["mask"] for p in parts})
        )
    return found


@pytest.fixture(scope="module")
def nyud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("nyud", tmp_path_factory.mktemp("nyud"), train=2, val=1, size=SIZE, seed=3)


@pytest.fixture(scope="module")
def pascal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate("pascal", tmp_path_factory.mktemp("pascal"), train=4, val=1, size=SIZE, seed=3)


@pytest.mark.parametrize("layout", ["nyud", "pascal"])
def test_same_seed_gives_the_same_bytes_and_more_images_keep_the_first(
    layout: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = _digests(request.getfixturevalue(layout))
    counts = json.loads((request.getfixturevalue(layout) / "scenes.json").read_text())
    counts = {"train": counts["train"] + 1, "val": counts["val"]}
    again = _digests(generate(layout, tmp_path / "again", **counts, size=SIZE, seed=3))  # type: ignore[arg-type]
    lists = {name for name in first if name.endswith((".txt", ".json"))}
    assert {k: v for k, v in first.items() if k not in lists}.items() <= again.items()
    assert len(first) < len(again)


def test_another_seed_or_split_gives_other_images(nyud: Path, tmp_path: Path) -> None:
    other = _digests(generate("nyud", tmp_path, train=2, val=1, size=SIZE, seed=4))
    images = [v for root in (_digests(nyud), other) for k, v in root.items() if k.startswith("images/")]
    assert len(set(images)) == 6


def test_mat_files_hold_no_time_of_day(pascal: Path) -> None:
    headers = {p.read_bytes()[:116] for p in pascal.rglob("*.mat")}
    assert headers == {b"MATLAB 5.0 MAT-file, written by bridgenet".ljust(116)}


def test_nyud_layout_is_complete(nyud: Path) -> None:
    assert nyud.name == "NYUDv2"
    assert (nyud / "gt_sets/train.txt").read_text() == "0001\n0003\n"
    assert (nyud / "gt_sets/val.txt").read_text() == "0002\n"
    for name in ("0001", "0002", "0003"):
        image = cv2.imread(str(nyud / "images" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8 and image.std() > 10
        classes = cv2.imread(str(nyud / "segmentation" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert classes.shape == SIZE and classes.max() <= 40 and len(np.unique(classes)) >= 4
        depth = np.load(nyud / "depth" / f"{name}.npy")
        assert depth.shape == SIZE and depth.dtype == np.float32 and depth.min() > 0.2 and depth.max() < 12
        normals = cv2.imread(str(nyud / "normals" / f"{name}.png"), cv2.IMREAD_UNCHANGED)[..., ::-1] / 127.5 - 1
        assert np.abs(np.linalg.norm(normals, axis=-1) - 1).max() < 0.02
        edge = cv2.imread(str(nyud / "edge" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert edge.shape == SIZE and set(np.unique(edge)) == {0, 255}


def test_pascal_layout_is_complete(pascal: Path) -> None:
    assert pascal.name == "PASCALContext"
    train = (pascal / "ImageSets/Context/train.txt").read_text().split()
    val = (pascal / "ImageSets/Context/val.txt").read_text().split()
    assert train == [f"2008_{i:06d}" for i in range(1, 5)] and val == ["2010_000001"]
    for name in train + val:
        assert cv2.imread(str(pascal / "JPEGImages" / f"{name}.jpg")).shape == (*SIZE, 3)
        sources = list((pascal / "semseg").rglob(f"{name}.png"))
        assert len(sources) == 1
        semseg = cv2.imread(str(sources[0]), cv2.IMREAD_UNCHANGED)
        assert 0 < semseg.max() <= 20
        labels = scipy.io.loadmat(str(pascal / "pascal-context/trainval" / f"{name}.mat"))["LabelMap"]
        assert labels.shape == SIZE and labels.min() >= 1 and labels.max() <= 459
        assert np.isin(labels, CLASSES["normals_valid_context_ids"]).mean() > 0.6
        saliency = cv2.imread(str(pascal / "sal_distill" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(saliency)) == {0, 255}
        assert cv2.imread(str(pascal / "normals_distill" / f"{name}.png")).shape == (*SIZE, 3)
    assert {p.parent.name for p in (pascal / "semseg").rglob("*.png")} == {"VOC12", "pascal-context"}


def test_painted_parts_cover_the_people(pascal: Path) -> None:
    people = 0
    for path in sorted((pascal / "human_parts").glob("*.mat")):
        semseg = cv2.imread(str(next((pascal / "semseg").rglob(f"{path.stem}.png"))), cv2.IMREAD_UNCHANGED)
        painted = np.zeros(SIZE, bool)
        for index, mask, parts in _load_parts(path):
            assert np.array_equal(semseg[mask > 0], np.full(int(mask.sum()), index))
            assert set(parts) <= set(CLASSES["human_parts_6"])
            people += index == 15
            if parts:
                assert index == 15
                assert np.array_equal(sum(parts.values()), mask)  # every pixel of a person is in exactly one part
                painted |= mask > 0
        assert np.array_equal(painted, semseg == 15)
    assert people > 0


def test_depth_and_normals_describe_the_same_planes() -> None:
    scene = render([0, 1], (60, 80))
    height, width = scene.depth.shape
    x = (np.arange(width) + 0.5 - width / 2) / (width / 2) * np.tan(scene.fov[0] / 2)
    y = (height / 2 - np.arange(height) - 0.5) / (height / 2) * np.tan(scene.fov[1] / 2)
    rays = np.stack(np.broadcast_arrays(x, y[:, None], np.float32(-1)), -1)  # x right, y up, z to the viewer
    points = rays * scene.depth[..., None]
    assert np.abs(np.linalg.norm(scene.normals, axis=-1) - 1).max() < 1e-5
    assert ((scene.normals * rays).sum(-1) < 1e-4).all()  # what is seen faces the camera
    for instance in (1, 2, 4, 5, 6):  # walls, floor and ceiling are flat
        inside = scene.instances == instance
        if inside.sum() > 20:
            normal = scene.normals[inside].mean(0)
            assert np.abs(scene.normals[inside] - normal).max() < 1e-4
            assert np.ptp(points[inside] @ normal) < 2e-3 * scene.depth.max()
    assert scene.normals[scene.instances == 5][:, 1].min() > 0.7  # the floor faces up


SHAPES = [
    Primitive("box", (0.1, 3.0, 0.2), ((0.8, 0.6, 0), (-0.6, 0.8, 0), (0, 0, 1)), (0.5, 0.3, 0.4), GREY, 7),
    Primitive("ellipsoid", (0.1, 3.0, 0.2), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0.5, 0.3, 0.4), GREY, 7),
    Primitive("cylinder", (0.1, 3.0, 0.2), ((1, 0, 0), (0, 0.8, 0.6), (0, -0.6, 0.8)), (0.5, 0.3, 0.4), GREY, 7),
    Primitive("cylinder", (0.1, 3.0, -0.5), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0.5, 0.5, 0.3), GREY, 7, taper=0.3),
    Primitive("cylinder", (0.1, 3.0, -1.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0.3, 0.3, 0.1), GREY, 7, taper=2.5),
    Primitive("capsule", (0.1, 3.0, 0.2), ((1, 0, 0), (0, 0.8, 0.6), (0, -0.6, 0.8)), (0.3, 0.3, 0.5), GREY, 7),
]


def _inside(prim: Primitive, points: np.ndarray) -> np.ndarray:
    """Membership by definition; points (N, 3)."""
    x, y, z = np.array(prim.axes) @ (points - np.array(prim.centre)).T
    a, b, c = prim.half
    if prim.shape == "box":
        return (abs(x) <= a) & (abs(y) <= b) & (abs(z) <= c)
    if prim.shape == "ellipsoid":
        return (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1
    if prim.shape == "capsule":
        return x**2 + y**2 + (z - np.clip(z, a - c, c - a)) ** 2 <= a**2
    return (abs(z) <= c) & (np.hypot(x / a, y / b) <= 1 + (prim.taper - 1) * (z + c) / (2 * c))


@pytest.mark.parametrize("prim", SHAPES, ids=lambda p: f"{p.shape}-{p.taper}")
def test_intersection_finds_where_rays_enter_the_solid(prim: Primitive) -> None:
    rng = np.random.default_rng(0)
    aims = np.array(prim.centre)[:, None] + rng.uniform(-0.7, 0.7, (3, 400))
    directions = (aims / aims[1]).astype(np.float32)
    t = intersect(prim, np.zeros(3), directions)
    steps = np.linspace(1.5, 4.5, 1501)
    marched = _inside(prim, (directions[:, :, None] * steps).reshape(3, -1).T).reshape(400, -1)
    hit = marched.any(1)
    assert 40 < hit.sum() < 400
    assert (np.isfinite(t) == hit).mean() > 0.98  # grazing rays may fall between two steps
    both = hit & np.isfinite(t)
    assert np.abs(t[both] - steps[marched.argmax(1)][both]).max() < 0.005
    points = directions[:, both] * t[both]
    *_, normals = surface(prim, points)
    assert np.abs(np.linalg.norm(normals, axis=0) - 1).max() < 1e-5
    assert (_inside(prim, (points - 0.001 * normals).T)).mean() > 0.97
    assert not _inside(prim, (points + 0.001 * normals).T).any()


def test_bounding_rectangles_hide_nothing() -> None:
    """Each solid alone covers the same pixels whether or not the search is limited to its rectangle."""
    room = Room((4.0, 5.0, 2.5), (GREY,) * 6, Camera((2.0, 0.5, 1.4), 0.2, -0.2, 0.05, 1.1))
    build = Builder(room, np.random.default_rng(0))
    with build.object("box", (1.5, 2.5, 0.0), 0.4):
        build.box((0, 0, 0), (0.8, 0.5, 0.6), GREY)
        build.cylinder((0.9, 0, 0), 0.2, 0.9, GREY, taper=1.5)
        build.capsule((-0.9, 0, 0.2), (-0.7, 1.0, 1.4), 0.1, GREY)
        build.box((0.3, -1.7, 0), (0.3, 0.6, 1.3), GREY)  # reaches behind the camera
    view = look(room, SIZE)
    origin = np.array(room.camera.position)
    nearest = np.min([intersect(p, origin, view.directions) for p in room.primitives], axis=0)
    assert np.array_equal(view.solid >= 0, np.isfinite(nearest))
    assert np.array_equal(view.depth[view.solid >= 0], nearest[np.isfinite(nearest)])


def test_labels_name_known_classes_and_stay_in_range() -> None:
    voc, nyu, context = set(CLASSES["voc21"]), set(CLASSES["nyu40"]), set(CLASSES["pascal_context_459"].values())
    for kind in KINDS.values():
        assert kind.voc in voc | {""} and kind.nyu in nyu and kind.context in context
    scene = render([5, 0], SIZE, "pascal")
    assert set(np.unique(scene.instances)) <= set(scene.kinds)
    assert label_map(scene, "nyu").min() >= 1
    person = np.isin(scene.instances, [i for i, kind in scene.kinds.items() if kind == "person"])
    assert np.array_equal(scene.parts > 0, person)
    assert 0 < salient(scene).mean() < 0.6


def test_boundaries_are_thin_and_lie_between_instances() -> None:
    ids = np.ones((20, 20), np.int16)
    ids[5:15, 5:15] = 9
    edge = boundaries(ids)
    assert edge.any() and not edge[8:12, 8:12].any() and not edge[:3].any()
    assert edge.sum() <= 44  # one pixel wide around a square of side 10


def test_a_folder_in_use_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    target = tmp_path / "NYUDv2"
    target.mkdir()
    assert generate("nyud", tmp_path, train=0, val=1, size=(32, 40)) == target
    before = _digests(target)
    with pytest.raises(UserError, match="not empty"):
        generate("nyud", tmp_path, train=1, val=0, size=(32, 40))
    assert _digests(target) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise error

    with pytest.raises(error):
        generate("pascal", tmp_path, train=2, val=0, size=(32, 40), progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layout": "nyu"}, "did you mean nyud"),
        ({"size": (16, 64)}, "at least 32"),
        ({"size": (100_000, 64)}, "at most 8192"),
        ({"train": -1}, "train -1"),
        ({"train": 0}, "at least one image"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], said: str, tmp_path: Path) -> None:
    arguments: dict[str, object] = {"layout": "nyud", "train": 1, "val": 0, "size": SIZE, "seed": 0, **change}
    with pytest.raises(UserError, match=said):
        generate(arguments.pop("layout"), tmp_path, **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_progress_and_record(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    root = generate("nyud", tmp_path, train=1, val=1, size=(32, 40), seed=9, progress=lambda *c: calls.append(c))
    assert calls == [(1, 2), (2, 2)]
    record = json.loads((root / "scenes.json").read_text())
    assert record == {"generator": 1, "layout": "nyud", "train": 1, "val": 1, "size": [32, 40], "seed": 9}
