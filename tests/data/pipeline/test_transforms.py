from __future__ import annotations

import cv2
import numpy as np
import pytest

from bridgenet import tasks as task_registry
from bridgenet.data.pipeline import photometric, transforms
from bridgenet.data.pipeline.transforms import EvaluationTransform, Sample, TrainingTransform
from bridgenet.data.pipeline.views import View, centre_offset, nearest
from bridgenet.errors import UserError

TASKS = ["semseg", "depth", "human_parts", "normals", "edge"]


def column(*values: float) -> np.ndarray:
    """One row of pixels, (1, W, 1) float32."""
    return np.array(values, np.float32).reshape(1, -1, 1)


def make_sample(height: int = 12, width: int = 16) -> Sample:
    rng = np.random.default_rng(3)
    return {
        "image": rng.integers(0, 256, (height, width, 3)).astype(np.float32),
        "semseg": rng.integers(0, 5, (height, width, 1)).astype(np.float32),
        "depth": rng.uniform(1, 9, (height, width, 1)).astype(np.float32),
        "human_parts": rng.integers(0, 7, (height, width, 1)).astype(np.float32),
        "normals": rng.uniform(-1, 1, (height, width, 3)).astype(np.float32),
        "edge": rng.integers(0, 2, (height, width, 1)).astype(np.float32),
    }


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_scale_sizes_and_values() -> None:
    sample = {
        "image": np.repeat(np.array([[[0.0], [1.0]]], np.float32), 3, axis=2),
        "semseg": column(3, 255),
        "depth": column(4, np.nan),
    }
    scaled = transforms.scale(sample, 2.0)
    # bilinear with half-pixel centres: 0, 0.25, 0.75, 1, not rounded
    np.testing.assert_allclose(scaled["image"][0, :, 0], [0, 0.25, 0.75, 1])
    assert scaled["semseg"][..., 0].tolist() == [[3, 3, 255, 255]] * 2
    np.testing.assert_array_equal(scaled["depth"][..., 0], [[2, 2, np.nan, np.nan]] * 2)
    assert transforms.scale(make_sample(), 0.7)["image"].shape == (8, 11, 3)  # 8.4 and 11.2 cut down


def views(source: tuple[int, int], size: tuple[int, int], count: int, **labels: np.ndarray) -> list[View]:
    sample = {"image": np.zeros((*source, 3), np.float32), **labels}
    return [transforms.draw_view(sample, size, rng(seed)) for seed in range(count)]


def test_drawn_scale_spans_half_to_double() -> None:
    factors = [view.factor for view in views((100, 10), (9, 9), 200)]
    assert 0.5 <= min(factors) < 0.6
    assert 1.9 < max(factors) <= 2
    assert 1.15 < np.mean(factors) < 1.35


def test_view_takes_one_window_of_everything() -> None:
    place = np.arange(12 * 16, dtype=np.float32).reshape(12, 16, 1)
    view = View((12, 16), 1.0, (3, 0), (5, 16), False, (5, 16))
    image, target = view.image(place.repeat(3, axis=2)), view.target("semseg", place)
    np.testing.assert_array_equal(image[..., :1], target)
    np.testing.assert_array_equal(target, place[3:8])


def test_window_is_drawn_from_every_place_and_smaller_sides_stay() -> None:
    drawn = views((8, 8), (4, 30), 300)
    assert all(view.window == (4, min(30, int(8 * view.factor))) for view in drawn)
    half = [view.corner[0] for view in drawn if int(8 * view.factor) == 6]
    assert set(half) == {0, 1, 2}
    assert {view.corner[1] for view in drawn} == {0}


def test_crop_avoids_a_single_class() -> None:
    labels = np.zeros((1, 40, 1), np.uint8)
    labels[:, 20:] = 1
    labels[:, ::7] = 255

    def share(view: View) -> float:
        cropped = view.target("semseg", labels)
        valid = cropped[cropped != 255]
        return max((valid == 0).mean(), (valid == 1).mean())

    # one place in six is balanced at scale 1: ten draws find one in 83 % of the cases, one draw in 16 %
    drawn = views((1, 40), (1, 10), 200, semseg=labels)
    assert 0.7 < np.mean([share(view) <= 0.75 for view in drawn]) < 0.95


@pytest.mark.parametrize(
    ("labels", "varied"),
    [
        ([0, 0, 0, 1], True),  # exactly 75 %
        ([0, 0, 0, 0, 1], False),
        ([0, 0, 0, 1, 255, 255, 255, 255, 255], True),  # ignored pixels do not count
        ([2, 2, 255, 255], False),
        ([255, 255], False),
    ],
)
def test_rule_of_the_crop(labels: list[int], varied: bool) -> None:
    assert transforms._is_varied(np.array([labels], np.uint8)) is varied


def test_last_crop_stands_when_none_is_varied() -> None:
    (view,) = views((9, 9), (4, 4), 1, semseg=np.zeros((9, 9, 1), np.float32))
    assert view.window == (4, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(5, 8), (17, 31), (18, 32), (36, 61), (53, 90)])
def test_view_fetches_opencv_s_nearest_neighbours(size: tuple[int, int], channels: int, dtype: type) -> None:
    source = rng().integers(0, 255, (27, 45, channels)).astype(dtype)
    expected = cv2.resize(source, size[::-1], interpolation=cv2.INTER_NEAREST).reshape(*size, channels)
    rows, columns = nearest(27, size[0]), nearest(45, size[1])
    np.testing.assert_array_equal(source[rows[:, None], columns], expected)
    factor = size[0] / 27
    view = View.whole((27, 45), factor=factor)
    by_factor = cv2.resize(source, view.canvas[::-1], interpolation=cv2.INTER_NEAREST).reshape(*view.canvas, channels)
    np.testing.assert_array_equal(view.target("sal", source), by_factor)


def test_view_of_many_channels() -> None:
    source = rng().uniform(0, 1, (6, 7, 9)).astype(np.float32)
    view = View.whole((6, 7), mirrored=True, canvas=(8, 7))
    seen = view.target("edge", source)
    np.testing.assert_array_equal(seen[1:7], source[:, ::-1])
    assert np.isnan(seen[[0, 7]]).all()


def test_flip_mirrors_and_turns_x_of_normals() -> None:
    normals = np.array([[[0.6, 0.0, 0.8], [np.nan] * 3, [0, 0, 0]]], np.float32)
    flipped = transforms.flip({"image": normals, "normals": normals, "semseg": column(1, 2, 255)})
    assert flipped["semseg"][0, :, 0].tolist() == [255, 2, 1]
    np.testing.assert_array_equal(flipped["image"], normals[:, ::-1])
    np.testing.assert_array_equal(
        flipped["normals"][0], np.array([[0, 0, 0], [np.nan] * 3, [-0.6, 0.0, 0.8]], np.float32)
    )


def test_mirroring_is_fair() -> None:
    assert 120 < sum(view.mirrored for view in views((4, 4), (4, 4), 300)) < 180


def pixel(*rgb: int) -> np.ndarray:
    return np.array([[rgb]], np.uint8)


def test_brightness_and_contrast_clip_and_round_down() -> None:
    assert photometric.adjust(pixel(10, 100, 250), 1.0, 31.7)[0, 0].tolist() == [41, 131, 255]
    assert photometric.adjust(pixel(10, 100, 250), 1.0, -31.7)[0, 0].tolist() == [0, 68, 218]
    assert photometric.adjust(pixel(10, 101, 250), 1.5, 0.0)[0, 0].tolist() == [15, 151, 255]


def test_saturation() -> None:
    # (200, 120, 120): V 200, S 255·80/200 = 102; half of it is 51, so the lows rise to 200·(1 − 51/255)
    assert photometric.saturate(pixel(200, 120, 120), 0.5)[0, 0].tolist() == [200, 160, 160]
    assert photometric.saturate(pixel(77, 77, 77), 1.5)[0, 0].tolist() == [77, 77, 77]


def test_hue_turns_and_wraps() -> None:
    assert photometric.shift_hue(pixel(255, 0, 0), 60)[0, 0].tolist() == [0, 255, 0]  # 60 steps of 2 degrees
    below_zero = photometric.shift_hue(pixel(255, 0, 0), -18)
    assert cv2.cvtColor(below_zero, cv2.COLOR_RGB2HSV)[0, 0].tolist() == [162, 255, 255]
    assert photometric.shift_hue(pixel(9, 9, 9), 18)[0, 0].tolist() == [9, 9, 9]


def test_photometric_distortion_stays_in_whole_numbers() -> None:
    image = rng(5).uniform(0, 255, (6, 7, 3)).astype(np.float32)
    before = image.copy()
    unchanged = 0
    for seed in range(60):
        distorted = photometric.photometric_distortion(image, rng(seed))
        assert distorted.dtype == np.uint8
        np.testing.assert_array_equal(distorted, photometric.photometric_distortion(image.astype(np.uint8), rng(seed)))
        unchanged += np.array_equal(distorted, np.floor(image))
    assert 0 < unchanged < 20  # nothing is drawn in one of 16 cases
    np.testing.assert_array_equal(image, before)


def test_padding_is_centred_with_the_odd_pixel_below_and_right() -> None:
    view = View.whole((1, 2), canvas=(4, 5))
    assert centre_offset((1, 2), (4, 5)) == (1, 1)
    assert view.place == (1, 1, 1, 2)
    expected = np.full((4, 5), 255)
    expected[1, 1:3] = 1, 2
    np.testing.assert_array_equal(view.target("semseg", column(1, 2))[..., 0], expected)
    assert view.target("depth", column(3, 4))[1].ravel().tolist() == [0, 3, 4, 0, 0]
    assert view.on_canvas(np.full((1, 2, 3), 7, np.uint8))[0, 1].tolist() == [0, 7, 7, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_unknown_labels(dtype: type) -> None:
    def marked(name: str, *values: float) -> list[float]:
        return transforms.mark_unknown(name, column(*values).astype(dtype)).ravel().tolist()

    unknown = 255 if dtype == np.uint8 else np.nan
    np.testing.assert_array_equal(marked("depth", 0, 2, unknown), [unknown, 2, unknown])
    assert marked("human_parts", 0, 255, 0) == [255, 255, 255]
    assert marked("human_parts", 0, 255, 4) == [0, 255, 4]
    assert marked("human_parts", 0, 1) == [0, 1]
    assert marked("human_parts", 254, 0) == [254, 0]
    assert marked("semseg", 0, 0, 0) == [0, 0, 0]


def test_unknown_normals_are_zero_in_float32_only() -> None:
    normals = np.array([[[0, 0, 0], [0, 0, 1], [0, 1, 0]]], np.float32)
    np.testing.assert_array_equal(transforms.mark_unknown("normals", normals)[0], [[np.nan] * 3, [0, 0, 1], [0, 1, 0]])
    encoded = np.zeros((1, 2, 3), np.uint8)  # (−1, −1, −1) as stored
    assert transforms.mark_unknown("normals", encoded) is encoded


@pytest.mark.parametrize("size", [(10, 14), (40, 50)], ids=["cropped", "padded"])
@pytest.mark.parametrize("tasks", [TASKS, ["depth"]], ids=["all", "without semseg"])
def test_training_transform(size: tuple[int, int], tasks: list[str]) -> None:
    transform = TrainingTransform(size, tasks)
    sample = make_sample()
    before = {name: array.copy() for name, array in sample.items()}
    for seed in range(8):
        got = transform(sample, rng(seed))
        assert list(got) == ["image", *tasks]
        for name, array in got.items():
            assert array.shape == (sample[name].shape[2], *size)
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
        assert ((got["depth"] > 0.5) & (got["depth"] < 18) | np.isnan(got["depth"])).all()
        again = transform(sample, rng(seed))
        assert all(np.array_equal(got[name], again[name], equal_nan=True) for name in got)
    assert all(np.array_equal(sample[name], before[name]) for name in sample)


def test_training_transform_moves_all_targets_together() -> None:
    """A picture whose labels are all the same map keeps them the same, and depth apart from its scale."""
    labels = np.repeat(np.arange(1, 5, dtype=np.float32), 4).reshape(1, 16, 1).repeat(12, axis=0)
    sample = {"image": labels.repeat(3, axis=2), "semseg": labels, "human_parts": labels, "depth": labels}
    for seed in range(8):
        got = TrainingTransform((10, 14), list(sample)[1:])(sample, rng(seed))
        np.testing.assert_array_equal(got["semseg"], got["human_parts"])
        valid = got["semseg"] != 255
        np.testing.assert_array_equal(np.isnan(got["depth"]), ~valid)
        ratio = got["semseg"][valid] / got["depth"][valid]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
        assert 0.5 <= ratio[0] <= 2


def test_evaluation_transform_keeps_the_image_and_ignores_the_rest() -> None:
    sample = make_sample()
    got = EvaluationTransform((15, 17), TASKS)(sample)
    inside = (slice(1, 13), slice(0, 16))
    np.testing.assert_array_equal(got["semseg"][0][inside], sample["semseg"][..., 0])
    for name in TASKS:
        outside, kind = got[name].copy(), task_registry.get(name).kind
        outside[:, inside[0], inside[1]] = kind.unknown
        assert kind.is_unknown(outside).all()
    assert not got["image"][:, 0].any()


def test_image_larger_than_the_canvas() -> None:
    with pytest.raises(UserError, match=r"0042: found 12×16 pixels.*12×15.*--data.eval-size"):
        EvaluationTransform((12, 15), TASKS)(make_sample(), "0042")
