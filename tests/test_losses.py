"""Laws of the losses; their values and gradients are golden numbers (test_golden)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.losses import adversarial, bins, feature, mask, pixel
from oldphoto_jax.models import vgg


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(3)
    shape = (2, 6, 5, 3)
    return {
        "photo": rng.uniform(size=shape).astype(np.float32),
        "target": rng.uniform(size=shape).astype(np.float32),
        "mask": (rng.uniform(size=(2, 6, 5, 1)) < 0.3).astype(np.float32),
        "logits": rng.normal(size=(2, 6, 5, 1)).astype(np.float32),
    }


def test_equal_photos_cost_nothing_and_feel_no_pull(arrays):
    photo, hole = jnp.asarray(arrays["photo"]), arrays["mask"]
    losses = {
        "l1": lambda x: pixel.l1(x, photo),
        "mse": lambda x: pixel.mse(x, photo),
        "l1_hole": lambda x: pixel.l1_hole(x, photo, hole),
        "l1_valid": lambda x: pixel.l1_valid(x, photo, hole),
        "feature_matching": lambda x: feature.feature_matching([[x, x]], [[photo, photo]]),
        "perceptual": lambda x: feature.perceptual([x, x], [photo, photo], [0.5, 2]),
    }
    for name, loss in losses.items():
        value, slope = jax.jit(jax.value_and_grad(loss))(photo)
        assert value == 0 and not slope.any(), name


def test_hole_and_valid_add_up_to_all(arrays):
    photo, target, hole = arrays["photo"], arrays["target"], arrays["mask"]
    both = pixel.l1_hole(photo, target, hole) + pixel.l1_valid(photo, target, hole)
    np.testing.assert_allclose(both, pixel.l1(photo, target), rtol=1e-6)


def test_what_the_mask_hides_changes_nothing(arrays):
    photo, target, hole = arrays["photo"], arrays["target"], arrays["mask"]
    junk = np.where(hole == 1, 77, photo)
    assert pixel.l1_valid(junk, target, hole) == pixel.l1_valid(photo, target, hole)
    np.testing.assert_array_equal(
        pixel.composite(photo, junk, hole)[hole[..., 0] == 1], photo[hole[..., 0] == 1]
    )
    np.testing.assert_array_equal(pixel.composite(photo, target, 0 * hole), target)


def test_total_variation_of_a_ramp_is_its_slope():
    ramp = np.broadcast_to(np.arange(5, dtype=np.float32)[:, None], (1, 4, 5, 1))
    assert pixel.total_variation(ramp) == 1
    assert pixel.total_variation(np.ones((1, 4, 5, 3))) == 0


def test_total_variation_of_a_hole_counts_steps_within_it_and_over_its_edge(arrays):
    photo = arrays["photo"]
    ones = np.ones((2, 6, 5, 1))
    np.testing.assert_allclose(
        pixel.total_variation(photo, ones), pixel.total_variation(photo), rtol=1e-6
    )
    assert pixel.total_variation(photo, 0 * ones) == 0
    hole = np.zeros((1, 6, 7, 1), np.float32)
    hole[0, 2, 3] = 1
    ramp = np.broadcast_to(np.arange(7, dtype=np.float32)[:, None], (1, 6, 7, 1))
    # the hole grows to 3 x 3, in which 6 of the photo's 36 steps across lie
    assert pixel.total_variation(ramp, hole) == pytest.approx(6 / 36)
    junk = np.array(ramp)
    junk[0, 4:], junk[0, 1, 1] = 99, 99  # two pixels away
    assert pixel.total_variation(junk, hole) == pixel.total_variation(ramp, hole)
    with pytest.raises(ValueError, match=r"mask \[N,H,W,1\], got \(1, 6, 7\)"):
        pixel.total_variation(ramp, hole[..., 0])


def test_bce_weight_counts_damaged_pixels_again(arrays):
    logits, truth = arrays["logits"], arrays["mask"]
    plain, double = mask.bce(logits, truth), mask.bce(logits, truth, 2.0)
    missed = (truth * np.logaddexp(0, -logits)).mean()
    np.testing.assert_allclose(double - plain, missed, rtol=1e-5)
    assert mask.focal(logits, truth, None, 0.0) == pytest.approx(float(plain), rel=1e-5)


def test_certainty_costs_nothing_when_right_and_stays_finite_when_wrong(arrays):
    truth = jnp.asarray(arrays["mask"])
    right = 60 * (2 * truth - 1)
    center_line = functools.partial(mask.center_line_dice, iterations=2)
    for loss in (mask.bce, mask.dice, mask.focal, center_line):
        assert loss(right, truth) < 1e-6
        value, slope = jax.jit(jax.value_and_grad(loss))(-10 * right, truth)
        assert jnp.isfinite(value) and jnp.isfinite(slope).all() and value > 0.1


def test_dice_pools_the_batch(arrays):
    logits, truth = arrays["logits"], arrays["mask"]
    long = mask.dice(logits.reshape(1, 12, 5, 1), truth.reshape(1, 12, 5, 1))
    np.testing.assert_allclose(mask.dice(logits, truth), long, rtol=1e-6)
    assert mask.dice(np.full((1, 4, 4, 1), -50.0), np.zeros((1, 4, 4, 1))) == 0


def test_hinge_rests_beyond_the_margin():
    real, fake = jnp.full((2, 3), 1.5), jnp.full((2, 3), -1.5)
    assert adversarial.judge_hinge(real, fake) == 0
    assert adversarial.judge_hinge(fake, real) == 5
    assert adversarial.judge_least_squares(jnp.ones(4), jnp.zeros(4)) == 0
    assert adversarial.fool_least_squares(jnp.ones(4)) == 0


@pytest.mark.parametrize(
    "fool",
    [adversarial.fool_hinge, adversarial.fool_non_saturating, adversarial.fool_least_squares],
)
def test_better_fakes_fool_more(fool):
    assert fool(jnp.array([0.5])) < fool(jnp.array([-0.5])) < fool(jnp.array([-3.0]))


def test_gram_forgets_places(arrays):
    photo = arrays["photo"]
    shuffled = photo[:, ::-1].swapaxes(1, 2)
    np.testing.assert_allclose(feature.gram(photo), feature.gram(shuffled), rtol=1e-5)
    np.testing.assert_allclose(feature.style(photo, photo.repeat(2, axis=1)), 0, atol=1e-7)


def test_layers_add_up_by_their_weights(arrays):
    a, b = arrays["photo"], arrays["target"]
    small, large = [a[:, ::2], a], [b[:, ::2], b]
    for sum_up, loss in ((feature.perceptual, pixel.l1), (feature.styles, feature.style)):
        one, other = (loss(*pair) for pair in zip(small, large, strict=True))
        np.testing.assert_allclose(sum_up(small, large), one + other, rtol=1e-6)
        np.testing.assert_allclose(sum_up(small, large, [3, 0.5]), 3 * one + other / 2, rtol=1e-6)
        with pytest.raises(ValueError, match="2 maps, 1 targets and 2 weights"):
            sum_up(small, large[:1])
        with pytest.raises(ValueError, match="2 maps, 2 targets and 3 weights"):
            sum_up(small, large, [1, 1, 1])
        with pytest.raises(ValueError, match="0 maps"):
            sum_up([], [])


def test_layers_are_compared_by_the_given_distance(arrays):
    a, b = arrays["photo"], arrays["target"]
    squares = feature.perceptual([a, a[:, ::2]], [b, b[:, ::2]], [1, 2], distance=pixel.mse)
    wanted = pixel.mse(a, b) + 2 * pixel.mse(a[:, ::2], b[:, ::2])
    np.testing.assert_allclose(squares, wanted, rtol=1e-6)
    assert set(feature.COLOR_LAYERS) <= set(vgg.layer_names(16))


def test_a_right_inpainting_costs_its_variation_alone(arrays):
    photo, target, hole = arrays["photo"], arrays["target"], arrays["mask"]
    extract = lambda x: [x, x[:, ::2] ** 2]  # noqa: E731
    right = feature.inpainting(extract, target, target, hole)
    assert right.keys() == feature.INPAINTING_WEIGHTS.keys()
    assert right.pop("variation") == pixel.total_variation(target, hole)
    assert not any(right.values())
    whole = feature.inpainting(extract, photo, target, hole, vary_in_hole=False)
    mixed = pixel.composite(photo, target, hole)
    assert whole["variation"] == pixel.total_variation(mixed)
    halves = [feature.perceptual(extract(x), extract(target)) for x in (photo, mixed)]
    np.testing.assert_allclose(whole["perceptual"], sum(halves), rtol=1e-6)


def test_feature_matching_leaves_scores_out_and_averages_critics(arrays):
    a, b = arrays["photo"], arrays["target"]
    one = feature.feature_matching([[a, 5 * a]], [[b, a]])
    np.testing.assert_allclose(one, pixel.l1(a, b), rtol=1e-6)
    two = feature.feature_matching([[a, a], [a, a]], [[b, a], [a, b]])
    np.testing.assert_allclose(two, one / 2, rtol=1e-6)
    slope = jax.grad(lambda real: feature.feature_matching([[a, a]], [[real, a]]))(jnp.asarray(b))
    assert not slope.any()


def test_soft_cross_entropy_is_least_at_the_target():
    target = jax.nn.softmax(jnp.arange(12.0).reshape(1, 1, 2, 6) % 5)
    loss, slope = jax.jit(jax.value_and_grad(bins.soft_cross_entropy))(jnp.log(target), target)
    entropy = -(target * jnp.log(target)).sum(-1).mean()
    np.testing.assert_allclose(loss, entropy, rtol=1e-6)
    np.testing.assert_allclose(slope, 0, atol=1e-7)
    weight = jnp.ones((1, 1, 2, 1)).at[0, 0, 1].set(0)
    half = bins.soft_cross_entropy(target, target, weight)
    first = bins.soft_cross_entropy(target[:, :, :1], target[:, :, :1])
    np.testing.assert_allclose(half, first / 2, rtol=1e-6)


def test_half_precision_is_computed_in_full(arrays):
    half = {name: jnp.asarray(array, jnp.bfloat16) for name, array in arrays.items()}
    values = [
        pixel.l1(half["photo"], half["target"]),
        pixel.total_variation(half["photo"]),
        mask.bce(half["logits"], half["mask"]),
        mask.dice(half["logits"], half["mask"]),
        mask.focal(half["logits"], half["mask"]),
        adversarial.judge_hinge(half["logits"], half["logits"]),
        adversarial.fool_non_saturating(half["logits"]),
        feature.style(half["photo"], half["target"]),
        feature.perceptual([half["photo"]], [half["target"]]),
        bins.soft_cross_entropy(half["photo"], half["target"]),
    ]
    assert {value.dtype for value in values} == {jnp.dtype("float32")}
    exact = pixel.l1(half["photo"].astype(jnp.float32), half["target"].astype(jnp.float32))
    assert values[0] == exact


def test_gradients_of_half_precision_are_those_of_float32():
    rng = np.random.default_rng(0)
    photo, target, hole = (rng.uniform(size=(1, 256, 256, c)) for c in (3, 3, 1))
    hole = np.float32(hole < 0.3)

    def losses(photo):
        one, wanted = photo[..., :1], jnp.asarray(target, jnp.bfloat16)
        return [
            pixel.l1(photo, wanted),
            pixel.l1_hole(photo, wanted, hole),
            pixel.mse(photo, wanted),
            pixel.total_variation(photo, hole),
            mask.bce(one, hole, 3.0),
            mask.dice(one, hole),
            mask.focal(one, hole),
            adversarial.judge_hinge(one, one - 1),
            adversarial.judge_least_squares(one, one - 1),
            adversarial.fool_non_saturating(one),
            feature.style(photo, wanted),
            bins.soft_cross_entropy(photo, wanted),
        ]

    low = jnp.asarray(photo, jnp.bfloat16)
    exact, rounded = (
        jax.jit(lambda x: (losses(x), jax.jacrev(lambda x: jnp.stack(losses(x)))(x)))(x)
        for x in (low.astype(jnp.float32), low)
    )
    np.testing.assert_allclose(rounded[0], exact[0], rtol=1e-3)
    for mine, want in zip(np.float32(rounded[1]), exact[1], strict=True):
        assert np.linalg.norm(mine - want) < 0.02 * np.linalg.norm(want)


def test_shapes_that_would_broadcast_are_refused(arrays):
    photo, target, hole = arrays["photo"], arrays["target"], arrays["mask"]
    with pytest.raises(ValueError, match=r"\(2, 6, 5, 3\).*\(2, 6, 5, 1\)"):
        pixel.l1(photo, target[..., :1])
    with pytest.raises(ValueError, match=r"mask \[N,H,W,1\], got \(2, 6, 5\)"):
        pixel.l1_hole(photo, target, hole[..., 0])
    for loss in (mask.bce, mask.dice, mask.focal, mask.center_line_dice):
        with pytest.raises(ValueError, match=r"\(2, 6, 5, 1\).*\(2, 6, 5\)"):
            loss(arrays["logits"], hole[..., 0])
    with pytest.raises(ValueError, match="target"):
        bins.soft_cross_entropy(photo, photo[..., :2])
    with pytest.raises(ValueError, match=r"weight \[N,H,W,1\], got \(2, 6, 5\)"):
        bins.soft_cross_entropy(photo, target, hole[..., 0])
    with pytest.raises(ValueError, match="no feature map"):
        feature.feature_matching([[photo]], [[photo]])


def _line(width, gap=0):
    """A horizontal line [1,24,64,1], broken by a gap in its middle."""
    line = np.zeros((1, 24, 64, 1), np.float32)
    line[:, 12 - width // 2 : 12 - width // 2 + width] = 1
    line[:, :, 32 : 32 + gap] = 0
    return line


def test_center_lines_count_length_and_not_width():
    """Half of a line is half, however wide; a wrong blot as wide costs Dice more than this."""
    for width in (1, 3, 7):
        whole, half = _line(width), _line(width).copy()
        half[:, :, 32:] = 0
        right = mask.center_line_dice(20 * (2 * whole - 1), whole)
        lost = mask.center_line_dice(20 * (2 * half - 1), whole)
        assert right < 0.02
        assert lost == pytest.approx(1 / 3, abs=0.06)  # precision 1, recall 1/2


def test_a_line_one_pixel_off_its_place_has_lost_its_center():
    thin = _line(1)
    moved = np.roll(thin, 2, axis=1)
    assert mask.center_line_dice(20 * (2 * moved - 1), thin) > 0.9
    wide = _line(7)
    moved = np.roll(wide, 1, axis=1)
    assert mask.center_line_dice(20 * (2 * moved - 1), wide) < 0.05


def test_center_lines_pull_a_gap_shut():
    broken, whole = _line(3, gap=4), _line(3)
    pull = jax.grad(lambda x: mask.center_line_dice(x, whole))(4 * (2 * broken - 1))
    assert pull[0, 12, 33, 0] < 0 and abs(float(pull[0, 2, 33, 0])) < 1e-4
