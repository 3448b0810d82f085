import pathlib
import sys
import tracemalloc
import unicodedata

import cv2
import numpy as np
import pytest

from oldphoto_jax.folder import batch, masks
from oldphoto_jax.folder.jobs import plan
from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.disk import contained, files

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


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_bands_change_nothing(tmp_path, monkeypatch, share):
    path = save(tmp_path / "m.png", holes(share)[..., None] * np.uint8(255))
    monkeypatch.setattr(scratch, "BAND", 7 * SIZE[1])  # rows by sevens, and the rest
    assert np.array_equal(masks.read(path, SIZE, 0.95), holes(share))
    if share > masks.MOST:
        with pytest.raises(ValueError, match="marks 90% of the photo"):
            masks.read(path, SIZE)


def test_beside_the_pixels_of_a_file_only_the_mask_is_held_whole(tmp_path, monkeypatch):
    size = (2000, 300)
    pixels = np.zeros((*size, 3), np.uint16)
    monkeypatch.setattr(contained, "read", lambda *_: files.PhotoFile(pixels))
    monkeypatch.setattr(scratch, "BAND", 20 * size[1])
    tracemalloc.start()
    try:
        masks.read(tmp_path / "m.png", size)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.3 * size[0] * size[1]  # bytes; a second array of the size would be 2


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
    jobs = masks.pair(plan(scans, out, ["restored"]), where)
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
    assert "has several files as its mask" in told["b.png"] and "b_mask.tif" in told["b.png"]
    assert told["box/été ☀.tif"] == "été ☀.png"


def test_masks_among_the_photos_are_no_photos(scans, tmp_path):
    touch(scans, "a.jpg_mask.png", "b_mask.png", "box/été ☀_mask.png")
    told = pairs(scans, scans, tmp_path / "out")
    assert set(told) == {"a.jpg", "a.png", "b.png", "box/été ☀.tif"}
    assert "has no mask" in told["a.png"]  # it is not its own
    touch(scans / "masks", "b.png", "b_prob.png")
    told = pairs(scans, scans / "masks", tmp_path / "out")
    assert told["b.png"] == "b.png" and not any(name.startswith("masks") for name in told)


def test_masks_that_are_not_needed_must_belong_to_some_photo(scans, tmp_path):
    jobs = plan(scans, tmp_path / "out", ["restored"])
    touch(tmp_path / "more", "b_mask.png")
    found = masks.pair(jobs, tmp_path / "more", "add", needed=False)
    assert [job.name for job in found if job.inputs] == ["b.png"]
    assert not any(job.problem for job in found)
    touch(tmp_path / "misnamed", "c_mask.png")
    words = r"misnamed: holds no mask to add of any of these photos; name one a\.jpg_mask\.png"
    with pytest.raises(ValueError, match=words):
        masks.pair(jobs, tmp_path / "misnamed", "add", needed=False)
    with pytest.raises(ValueError, match="is one mask to remove for 4 photos"):
        masks.pair(jobs, tmp_path / "more" / "b_mask.png", "remove", needed=False)


def test_maps_of_an_earlier_run_are_found_by_their_ending(scans, tmp_path):
    where = tmp_path / "earlier"
    touch(where, "a.jpg_mask.png", "a.jpg_prob.png", "a.png_prob.png", "b_prob.png")
    jobs = plan(scans, tmp_path / "out", ["restored"])
    found = masks.pair(jobs, where, "probability", masks.PROBABILITY)
    told = [job.inputs["probability"].name if job.inputs else job.problem for job in found]
    assert told[:3] == ["a.jpg_prob.png", "a.png_prob.png", "b_prob.png"]
    assert "has no probability map" in told[3] and "été ☀_prob.png" in told[3]


def test_maps_of_probabilities_are_gray_and_deep(tmp_path):
    deep = RNG.integers(0, 65536, (*SIZE, 1), np.uint16)
    assert np.array_equal(
        masks.read_probability(save(tmp_path / "p.png", deep), SIZE), deep[..., 0]
    )
    for wrong in (noise(), deep.repeat(3, axis=-1)):
        with pytest.raises(ValueError, match="is no map of probabilities"):
            masks.read_probability(save(tmp_path / "p.png", wrong), SIZE)
    with pytest.raises(ValueError, match="has 30 x 20 pixels, the photo 20 x 30"):
        masks.read_probability(save(tmp_path / "p.png", deep), SIZE[::-1])


def test_one_photo_takes_one_file_or_looks_into_a_folder(scans, tmp_path):
    touch(tmp_path, "mine.png", "masks/a_mask.png")
    for where, name in ("mine.png", "mine.png"), ("masks", "a_mask.png"):
        assert pairs(scans / "a.jpg", tmp_path / where, tmp_path) == {"a.jpg": name}
    with pytest.raises(ValueError, match="one mask for 4 photos; give a folder"):
        pairs(scans, tmp_path / "mine.png", tmp_path / "out")
    with pytest.raises(ValueError, match="no such file or folder"):
        pairs(scans, tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("end", ["_mask.png", ".png"])
def test_a_mask_is_found_however_its_accents_are_written(tmp_path, forms, end):
    there, wanted = (unicodedata.normalize(form, "Šumava/Großvater é") for form in forms)
    touch(tmp_path / "scans", f"{wanted}.jpg")
    touch(tmp_path / "masks", f"{there}{end}")
    found = pairs(tmp_path / "scans", tmp_path / "masks", tmp_path / "out")
    assert found == {f"{wanted}.jpg": pathlib.Path(f"{there}{end}").name}


@pytest.mark.skipif(sys.platform == "darwin", reason="there the two names are one")
def test_of_two_masks_that_differ_in_accents_alone_each_photo_has_its_own(tmp_path):
    both = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    touch(tmp_path / "scans", *(f"{name}.jpg" for name in both))
    touch(tmp_path / "masks", *(f"{name}.jpg_mask.png" for name in both))
    found = pairs(tmp_path / "scans", tmp_path / "masks", tmp_path / "out")
    assert found == {f"{name}.jpg": f"{name}.jpg_mask.png" for name in both}


def test_a_newcomer_leaves_a_photo_its_mask(tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    touch(scans, "a.jpg")

    def work(job):
        touch(out, job.outputs["mask"].name)
        return {}

    def planned():
        jobs = plan(scans, out, ["mask"])
        return jobs, batch.run(jobs, batch.Report(out), work, {})

    assert planned()[1] == {"ok": 1}
    touch(scans, "a.png")
    jobs, counts = planned()
    assert counts == {"nothing_to_do": 1, "ok": 1}
    assert [job.outputs["mask"].name for job in jobs] == ["a_mask.png", "a.png_mask.png"]
    other = {job.name: job for job in plan(scans, tmp_path / "other", ["restored"])}
    for planned_jobs in (jobs, [*other.values()]):  # by the report of these photos, or the masks'
        paired = masks.pair(planned_jobs, out)
        assert [job.inputs["mask"].name for job in paired] == ["a_mask.png", "a.png_mask.png"]
    (scans / "a.jpg").unlink()
    assert planned()[1] == {"nothing_to_do": 1}


def test_what_is_passed_over_has_no_mask_and_needs_none(tmp_path):
    touch(tmp_path / "scans", "a.jpg", "notes.txt")
    touch(tmp_path, "m.png")
    jobs = plan(tmp_path / "scans", tmp_path / "out", ["restored"])
    for where in ("m.png", "masks"):
        touch(tmp_path / "masks", "a.png")
        photo, other = masks.pair(jobs, tmp_path / where)
        assert photo.inputs and (other.name, other.inputs, other.problem) == ("notes.txt", {}, "")


def test_a_mask_may_have_all_of_a_long_name(tmp_path):
    long = "x" * 240
    touch(tmp_path / "scans", f"{long}.jpg", f"{long[1:]}.jpg")
    touch(tmp_path / "masks", f"{long}_mask.png", f"{long[1:]}.png")
    found = pairs(tmp_path / "scans", tmp_path / "masks", tmp_path / "out")
    assert found == {f"{long}.jpg": f"{long}_mask.png", f"{long[1:]}.jpg": f"{long[1:]}.png"}


def test_photos_and_masks_without_an_ending_pair_by_all_of_their_names(tmp_path):
    png = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    for name in ("scans/Oma. Paris 1950", "masks/Oma. Paris 1950", "scans/b", "masks/b_mask"):
        touch(tmp_path, name)
        (tmp_path / name).write_bytes(png)
    found = pairs(tmp_path / "scans", tmp_path / "masks", tmp_path / "out")
    assert found == {"Oma. Paris 1950": "Oma. Paris 1950", "b": "b_mask"}
