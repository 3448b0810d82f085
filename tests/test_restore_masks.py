import numpy as np
import pytest

from oldphoto_jax.photo import files
from oldphoto_jax.restore import batch, masks

RNG = np.random.default_rng(0)
SIZE = (20, 30)


def holes(share=0.1):
    return (np.arange(600).reshape(SIZE) < share * 600).astype(np.uint8)


def save(path, pixels, alpha=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, files.PhotoFile(pixels, alpha))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("transparent", [False, True])
def test_white_is_damaged_whatever_the_file(tmp_path, dtype, channels, transparent):
    full = np.iinfo(dtype).max
    pixels = np.repeat(holes()[..., None] * dtype(full), channels, axis=-1)
    alpha = RNG.integers(0, full, SIZE, dtype) if transparent else None
    mask = masks.read(save(tmp_path / "m.png", pixels, alpha), SIZE)
    assert mask.dtype == np.uint8 and np.array_equal(mask, holes())


def test_soft_edges_are_cut_at_half(tmp_path):
    pixels = holes()[..., None] * np.uint8(255)
    pixels[5, :4, 0] = (126, 127, 128, 129)
    mask = masks.read(save(tmp_path / "m.png", pixels), SIZE)
    assert mask[5, :4].tolist() == [0, 0, 1, 1]


def noise():
    return RNG.integers(0, 256, (*SIZE, 1), np.uint8)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((30, 20, 1), np.uint8), "the mask has 20 x 30 pixels, the photo 30 x 20"),
        (noise(), "of its pixels are gray, so it is no mask"),
        (np.stack([holes() * 255, holes() * 0, holes() * 0], -1).astype(np.uint8), "has colours"),
        (255 * (1 - holes())[..., None], "marks 90% of the photo .* invert it"),
        (holes()[..., None], "brightest pixel is 1 of 255; .* with 0 and 255 instead of 0 and 1"),
    ],
)
def test_what_is_no_mask_of_this_photo_is_refused(tmp_path, pixels, words):
    path = save(tmp_path / "m.png", pixels)
    with pytest.raises(ValueError, match=words) as caught:
        masks.read(path, SIZE)
    assert str(path) in str(caught.value)


@pytest.fixture
def scans(tmp_path):
    for name in ("a.jpg", "a.png", "b.png", "box/été ☀.tif"):
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    return tmp_path / "scans"


def pairs(scans, where, out):
    jobs = masks.pair(batch.plan(scans, out, ["restored"]), where)
    return {job.name: job.inputs["mask"].name if job.inputs else job.problem for job in jobs}


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mask")


def test_a_folder_of_masks_has_the_tree_and_the_names_of_the_photos(scans, tmp_path):
    where = tmp_path / "masks"
    touch(where, "a.jpg_mask.png", "a.png_mask.tif", "b.png", "box/été ☀_mask.png", "c_mask.png")
    assert pairs(scans, where, tmp_path / "out") == {
        "a.jpg": "a.jpg_mask.png",
        "a.png": "a.png_mask.tif",
        "b.png": "b.png",
        "box/été ☀.tif": "été ☀_mask.png",
    }


def test_a_photo_without_a_mask_or_with_several_has_a_problem(scans, tmp_path):
    where = tmp_path / "masks"
    touch(where, "a_mask.png", "b_mask.png", "b_mask.tif", "box/été ☀.png")
    told = pairs(scans, where, tmp_path / "out")
    assert "has no mask" in told["a.jpg"] and "a.jpg_mask.png" in told["a.jpg"]
    assert "has several masks" in told["b.png"] and "b_mask.tif" in told["b.png"]
    assert told["box/été ☀.tif"] == "été ☀.png"


def test_masks_among_the_photos_are_no_photos(scans, tmp_path):
    touch(scans, "a.jpg_mask.png", "b_mask.png", "box/été ☀_mask.png")
    told = pairs(scans, scans, tmp_path / "out")
    assert set(told) == {"a.jpg", "a.png", "b.png", "box/été ☀.tif"}
    assert "has no mask" in told["a.png"]  # it is not its own
    touch(scans / "masks", "b.png", "b_prob.png")
    told = pairs(scans, scans / "masks", tmp_path / "out")
    assert told["b.png"] == "b.png" and not any(name.startswith("masks") for name in told)


def test_one_photo_takes_one_file_or_looks_into_a_folder(scans, tmp_path):
    touch(tmp_path, "mine.png", "masks/a_mask.png")
    for where, name in ("mine.png", "mine.png"), ("masks", "a_mask.png"):
        assert pairs(scans / "a.jpg", tmp_path / where, tmp_path) == {"a.jpg": name}
    with pytest.raises(ValueError, match="one mask for 4 photos; give a folder"):
        pairs(scans, tmp_path / "mine.png", tmp_path / "out")
    with pytest.raises(ValueError, match="no such file or folder"):
        pairs(scans, tmp_path / "nowhere", tmp_path / "out")
