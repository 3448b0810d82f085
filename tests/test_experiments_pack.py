"""What ships a finder: packed weights, their thresholds, and sheets of what they mark."""

import json
import pathlib
import re
import shlex
import types

import cv2
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from experiments import old_photos, pack_weights
from oldphoto_jax import cli
from oldphoto_jax.exams import defects
from oldphoto_jax.models import unet
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.weights import catalogue, store
from tests import untrained
from tests.stages import Ready

GUIDE = pathlib.Path(__file__).parents[1] / "docs" / "extend.md"
GRAY, SIZE = 90, 64
TINY = dict(network=unet.Blueprint(width=4, decoder_width=4, depth=18))


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def photos(tmp_path):
    """Three plain gray photos; the second has a white square, the third is twice as wide."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, square, width in (("a", 0, SIZE), ("b", 16, SIZE), ("c", 16, 2 * SIZE)):
        pixels = np.full((SIZE, width, 3), GRAY, np.uint8)
        pixels[:square, :square] = 255
        files.write_png(folder / f"{name}.png", pixels)
    return folder


class Bright(Ready, stage.Stage):
    """Calls all that is brighter than the gray a defect."""

    def __init__(self):
        self.predictor = DefectPredictor(threshold=0.9, careful=0.95, **TINY)

    def __call__(self, photo, **_):
        return {"mask": photo.max(-1, keepdims=True).astype(np.float32)}


@pytest.mark.parametrize("path", catalogue.all_packaged(), ids=lambda path: path.stem)
def test_what_is_packaged_is_packed_as_it_is(path):
    arrays, _ = store.load(path)
    whole = {name: array.astype(np.float32) for name, array in arrays.items()}
    again = pack_weights.packed(whole)
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype and np.array_equal(again[name], array), name


def test_only_kernels_of_convolutions_lose_digits():
    third = np.float32(1 / 3)
    arrays = {
        "net.conv.kernel": np.full((3, 3, 2, 2), third),
        "net.depthwise.kernel": np.full((3, 3, 2), third),
        "net.dense.kernel": np.full((2, 2), third),
        "net.conv.bias": np.full(2, third),
        "net.table": np.full((2, 2, 2), third),
    }
    kinds = {name: array.dtype for name, array in pack_weights.packed(arrays).items()}
    small = [name for name, kind in kinds.items() if kind == ml_dtypes.bfloat16]
    assert small == ["net.conv.kernel", "net.depthwise.kernel"]


def test_thresholds_are_the_lowest_that_leave_undamaged_photos_alone(photos):
    rng = np.random.default_rng(0)
    before, said = DefectPredictor(**TINY), []

    def score(photo):
        said.append(rng.random(photo.shape[:2], np.float32))
        return said[-1]

    exam = defects.Exam(photos=pack_weights.sources.open_photos(photos), count=6, size=96)
    scores, digest = pack_weights.ask(defects.Method("random", score, 0.5), exam)
    assert len(said) == 6 and len(digest) == 64
    new = pack_weights.calibrated(before, scores)
    every = np.stack(said)
    for level, most in ((new.threshold, 0.003), (new.careful, 0.0005)):
        assert (every >= level).mean() <= most < (every >= level - 1e-4).mean()
        assert (every >= level).mean() <= pack_weights.share(scores, level) <= most
    assert pack_weights.share(scores, 0.0) == 1


def configured(path, photos):
    """Gives weights a configuration that names places."""
    arrays, metadata = store.load(path)
    config = {"photos": f"3*{photos} + 1*{photos}", "task": {"textures": f"{photos}/dust"}}
    store.save(path, arrays, metadata | {"config": json.dumps(config), "step": "7"})


def test_the_command_packs_and_calibrates(photos, tmp_path, monkeypatch, capsys):
    asked = []

    def answer(self, photo):
        kernels = [leaf for leaf in jax.tree.leaves(self.params) if leaf.ndim > 2]
        asked.append(all((leaf == leaf.astype(jnp.bfloat16)).all() for leaf in kernels[:4]))
        return {"mask": photo.max(-1, keepdims=True)}

    monkeypatch.setattr(stage.Stage, "__call__", answer)  # compiling takes seconds
    finder = DefectPredictor(threshold=0.25, careful=0.5, **TINY)
    best = tmp_path / "run" / "weights" / "best.safetensors"
    best.parent.mkdir(parents=True)
    untrained.save(best, finder)
    configured(best, photos)
    out = tmp_path / "out" / "packed.safetensors"
    words = [f"--out={out}", f"--home={tmp_path}", f"--photos={photos}", "--size=32"]
    pack_weights.main([str(tmp_path / "run"), *words])
    told = capsys.readouterr().out
    assert asked == [True] * 3  # by the rounded weights
    loaded = stage.load(out, kind=DefectPredictor).predictor
    assert loaded.careful >= loaded.threshold and loaded.network == finder.network
    assert f"threshold: {loaded.threshold:.4f} marks" in told and "before: 0.2500" in told
    assert "step 7 of a run on 3*photos + 1*photos" in told
    assert store.checksum(out) in told and f"{out.stat().st_size:,} bytes" in told
    arrays, metadata = store.load(out)
    assert str(tmp_path) not in json.dumps(metadata) and metadata["step"] == "7"
    assert json.loads(metadata["config"])["photos"] == "3*photos + 1*photos"
    kinds = {array.dtype for array in arrays.values()}
    assert kinds == {np.dtype(np.float32), np.dtype(ml_dtypes.bfloat16)}


def test_what_cannot_be_packed_or_calibrated_is_told(photos, tmp_path, monkeypatch, capsys):
    source, out = tmp_path / "weights.safetensors", tmp_path / "packed.safetensors"
    store.save(source, {"net.kernel": np.zeros((1, 1, 2, 2), np.float32)}, {})
    with pytest.raises(SystemExit, match="pack_weights: .*holds arrays but no predictor"):
        pack_weights.main([str(source), f"--out={out}"])
    configured(source, photos)
    with pytest.raises(SystemExit, match="pack_weights: .*a place on this machine.*--home"):
        pack_weights.main([str(source), f"--out={out}", f"--home={photos}/b"])
    with pytest.raises(SystemExit, match="pack_weights: .*holds everything"):
        pack_weights.main([str(source), f"--out={out}", f"--home={photos.anchor}"])
    monkeypatch.setattr(
        stage, "load", lambda path: types.SimpleNamespace(predictor=FillingPredictor())
    )
    words = [str(source), f"--out={out}", f"--home={tmp_path}"]
    with pytest.raises(SystemExit, match="only finders have thresholds"):
        pack_weights.main([*words, f"--photos={photos}"])
    assert not out.exists()
    monkeypatch.setattr(stage, "load", lambda path: Bright())
    pack_weights.main(words)
    assert "thresholds stay 0.9000 and 0.9500" in capsys.readouterr().out
    assert store.load(out)[0]["net.kernel"].dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    "text", ["/a/b", "2*/a", "~/a", "x=/a & y=b", "tfds:n@/a", "C:\\a", "\\\\a"]
)
def test_what_is_a_place_on_this_machine(text, tmp_path):
    with pytest.raises(ValueError, match="a place on this machine"):
        pack_weights.relative({"photos": [text]}, tmp_path)
    whole = {"a": "2*data/a.txt + 1*b", "class": "oldphoto_jax.task:Task", "n": 1.5, "none": None}
    assert pack_weights.relative(whole, tmp_path) == whole
    assert pack_weights.relative("/a/b/c + 2*/a/b/d", pathlib.Path("/a/b")) == "c + 2*d"


def test_old_photos_are_counted_and_shown(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stage, "load", lambda path, kind: Bright())
    monkeypatch.setattr(old_photos, "PHOTOS", 2)
    out = tmp_path / "sheets" / "old.png"
    words = ["one", "two=runs/one", f"--photos={photos}", f"--out={out}", "--thresholds=0.2"]
    old_photos.main([*words, "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [f"{name}.png" for name in "aabbcc"]
    assert [line.get("photo") for line in lines] == [*names, None, None]
    second, third = lines[2], lines[4]
    assert second["weights"] == "one" and second["marked"] == {
        "0.9": 1 / 16,
        "0.95": 1 / 16,
        "0.2": 1,
    }
    assert third["marked"]["0.9"] == pytest.approx(1 / 32)
    for label, line in zip(("one", "two"), lines[-2:], strict=True):
        assert line["weights"] == label and line["photos"] == 3
        assert line["mean"]["0.9"] == pytest.approx((0 + 1 / 16 + 1 / 32) / 3, abs=1e-6)
        assert line["median"]["0.9"] == pytest.approx(1 / 32)
    sheets = sorted(path.name for path in out.parent.iterdir())
    assert sheets == ["old-1.png", "old-2.png"]
    old_photos.main([*words, "--count=1"])
    assert "one, a.png: 0.000% at 0.9; 0.000% at 0.95; 100.000% at 0.2" in capsys.readouterr().out


def test_a_strip_shows_marks_in_red_beside_the_photo():
    pixels, mask = np.full((40, 80, 1), GRAY, np.uint8), np.zeros((40, 80), np.uint8)
    mask[20, 10:70] = 1
    picture = old_photos.strip("a photo", pixels, {"some 1 %": mask, "none 0 %": 0 * mask}, 40)
    red = (picture[..., 0] > 150) & (picture[..., 1:] < 60).all(-1)
    assert 20 <= red.sum() <= 80
    assert (picture == GRAY).all(-1).sum() > 2 * 20 * 40 - 1


def test_strips_stand_in_columns_on_a_sheet_that_is_not_long():
    strips = [np.full((10, 10 + number, 3), number, np.uint8) for number in range(6)]
    page = old_photos.lay_out(strips)
    assert page.shape == (30, 30, 3) and max(page.shape) < len(strips) * 10
    for number, one in enumerate(strips):
        assert (page == number).all(-1).sum() == one.size // 3


def test_questions_that_cannot_be_answered_are_told(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "load", lambda path, kind: Bright())
    words = [f"--photos={photos}", f"--out={tmp_path / 'old'}"]
    for more, told in (
        (["a", "b/a.safetensors"], "several weights are called a"),
        (["a", "--count=4"], "4 of the 3 photos"),
    ):
        with pytest.raises(SystemExit, match=f"old_photos: .*{told}"):
            old_photos.main([*words, *more])
    for level in ("1.5", "some"):
        with pytest.raises(SystemExit):
            old_photos.parse([*words, "a", f"--thresholds={level}"])


def test_the_way_to_ship_a_finder_names_commands_that_there_are():
    part = GUIDE.read_text("utf-8").partition("## Shipping a finder")[2].partition("\n## ")[0]
    text = re.sub(r" *\\\n *", " ", part)
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    names = [words[2] for words in lines if words[:2] == ["python", "-m"]]
    assert names[:2] == ["experiments.pack_weights", "experiments.old_photos"]
    for name in {*names} - {"pytest"}:
        assert (GUIDE.parent.parent / f"{name.replace('.', '/')}.py").exists(), name
    ours = [words[1:] for words in lines if words[0] == "oldphoto"]
    assert len(ours) >= 4
    for words in ours:
        assert callable(cli.parser().parse_args(words).command), words
    old_photos.parse(next(words[3:] for words in lines if "experiments.old_photos" in words))


def test_a_sheet_goes_where_it_is_told(tmp_path):
    assert old_photos.numbered(tmp_path / "old", 1).name == "old-1.jpg"
    assert old_photos.numbered(tmp_path / "v1.2", 1).name == "v1.2-1.jpg"
    path = old_photos.numbered(tmp_path / "new" / "old.jpg", 3)
    old_photos.write(path, [np.full((20, 30, 3), 200, np.uint8)])
    assert cv2.imread(str(path)).shape == (20, 30, 3)
