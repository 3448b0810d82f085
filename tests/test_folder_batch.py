import dataclasses
import json
import os
import pathlib
import sys
import unicodedata

import cv2
import numpy as np
import pytest

from oldphoto_jax.folder import batch
from oldphoto_jax.folder.jobs import closing, plan
from oldphoto_jax.photo.disk import names

PIXELS = np.full((8, 8, 3), 100, np.uint8)


def write(path, pixels=PIXELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.fixture
def scans(tmp_path):
    for name in ("a.jpg", "a.png", "b.png", "box/a.jpg", "Álbum 1/été\u2028☀.png"):
        write(tmp_path / "scans" / name)
    return tmp_path / "scans"


def work(job):
    for path in job.outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(job.photo.read_bytes())
    return {"marked": 0.5}


def go(source, out, work=work, force=False, **settings):
    jobs = plan(source, out, ("mask", "prob"))
    return batch.run(jobs, batch.Report(out), work, settings, force)


def lines(out):
    return [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").split("\n")[:-1]]


def test_the_tree_is_kept_and_namesakes_keep_their_ending(scans, tmp_path):
    jobs = plan(scans, tmp_path / "out", ["mask"])
    made = {job.name: job.outputs["mask"].relative_to(tmp_path / "out").as_posix() for job in jobs}
    assert made == {
        "a.jpg": "a.jpg_mask.png",
        "a.png": "a.png_mask.png",
        "b.png": "b_mask.png",
        "box/a.jpg": "box/a_mask.png",
        "Álbum 1/été\u2028☀.png": "Álbum 1/été\u2028☀_mask.png",
    }


def test_labels_differ_whatever_the_names():
    photos = ["a.jpg", "A.png", "a.jpg.png", "b.tif", "a.jpg.tif"]
    labels = names.labels([pathlib.Path(name) for name in photos])
    assert labels == ["a.jpg", "A.png", "a.jpg.png", "b", "a.jpg.tif"]


def test_no_kind_of_one_photo_is_called_as_another_kind_of_another(tmp_path):
    for name in ("a.jpg", "a_restored.jpg", "b_restored.jpg", "C.jpg", "c_restored.png"):
        write(tmp_path / "in" / name)
    kinds = ("restored", "restored_color", "color")
    jobs = plan(tmp_path / "in", tmp_path / "out", kinds)
    paths = [path.name.casefold() for job in jobs for path in job.outputs.values()]
    assert len({*paths}) == len(paths) == 15
    assert jobs[3].name == "b_restored.jpg"
    assert jobs[3].outputs["color"].name == "b_restored_color.png"


def test_one_photo_may_lie_beside_its_mask(tmp_path):
    photo = write(tmp_path / "a.jpg")
    [job] = plan(photo, tmp_path, ["mask"])
    assert job.outputs["mask"] == tmp_path / "a_mask.png"


def test_photos_are_never_overwritten(scans, tmp_path):
    with pytest.raises(ValueError, match="is the folder of the photos"):
        plan(scans, scans, ["mask"])
    with pytest.raises(ValueError, match="holds photos of its own"):
        plan(scans, scans / "box", ["mask"])
    write(scans / "scans" / "c.png")
    write(scans / "c_mask.png")
    with pytest.raises(ValueError, match="would overwrite a photo"):
        plan(scans, scans.parent, ["mask"])


def test_results_inside_the_folder_are_no_photos(scans):
    count = len(plan(scans, scans / "out", ["mask"]))
    go(scans, scans / "out")
    assert len(plan(scans, scans / "out", ["mask"])) == count


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no photos"):
        plan(tmp_path, tmp_path / "out", ["mask"])


def test_a_failure_is_reported_and_the_rest_is_done(scans, tmp_path):
    def stumble(job):
        if job.name == "b.png":
            raise ValueError("cut off")
        return work(job)

    counts = go(scans, tmp_path / "out", stumble, threshold=0.5)
    assert counts == {"ok": 4, "failed": 1}
    entries = {line["photo"]: line for line in lines(tmp_path / "out")}
    assert entries["b.png"]["reason"] == "cut off"
    assert entries["a.jpg"]["marked"] == 0.5
    assert entries["a.jpg"]["settings"] == {"threshold": 0.5}
    assert all(entry["seconds"] >= 0 for entry in entries.values())


def test_a_bug_is_not_taken_for_a_broken_photo(scans, tmp_path):
    with pytest.raises(AttributeError):
        go(scans, tmp_path / "out", lambda job: job.nonsense)


def test_a_second_run_does_only_what_is_missing(scans, tmp_path):
    out, done = tmp_path / "out", []

    def note(job):
        done.append(job.name)
        return work(job)

    def interrupted(job):
        if len(done) == 2:
            raise KeyboardInterrupt
        return note(job)

    with pytest.raises(KeyboardInterrupt):
        go(scans, out, interrupted)
    assert go(scans, out, note) == {"nothing_to_do": 2, "ok": 3}
    assert len(done) == len(set(done)) == 5
    (out / "b_prob.png").unlink()
    assert go(scans, out, note) == {"nothing_to_do": 4, "ok": 1}
    assert go(scans, out, note, force=True) == {"ok": 5}


def test_a_killed_photo_is_made_again(scans, tmp_path):
    def killed(job):
        found = work(job)
        if job.name == "b.png":
            raise KeyboardInterrupt  # as good as kill -9: between the files and their line
        return found

    out = tmp_path / "out"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            go(scans, out, killed)
    assert go(scans, out) == {"nothing_to_do": 2, "ok": 3}
    assert not list(out.glob(".doing*"))


def test_stages_share_a_folder_and_its_report(scans, tmp_path):
    out = tmp_path / "out"
    go(scans, out)
    jobs = plan(scans, out, ["restored"])
    for expected in {"ok": 5}, {"nothing_to_do": 5}:
        report = batch.Report(out, "inpaint")
        assert batch.run(jobs, report, work, {"method": "telea"}) == expected
    assert go(scans, out) == {"nothing_to_do": 5}
    assert [line["stage"] for line in lines(out)][::5] == [
        "segment",
        "inpaint",
        "inpaint",
        "segment",
    ]


def test_another_input_makes_other_outputs(scans, tmp_path):
    out, mask = tmp_path / "out", write(tmp_path / "mask.png")
    [job] = plan(scans / "b.png", out, ["restored"])
    job = dataclasses.replace(job, inputs={"mask": mask})
    for expected in "ok", "nothing_to_do":
        assert batch.run([job], batch.Report(out, "inpaint"), work, {}) == {expected: 1}
    write(mask, PIXELS[:4])
    assert batch.run([job], batch.Report(out, "inpaint"), work, {}) == {"failed": 1}
    assert (
        "was made with another mask or other hints; choose another --out"
        in lines(out)[-1]["reason"]
    )
    assert batch.run([job], batch.Report(out, "inpaint"), work, {}, force=True) == {"ok": 1}


def test_a_job_with_a_problem_fails_with_it(scans, tmp_path):
    jobs = plan(scans, tmp_path / "out", ["restored"])
    jobs[0] = dataclasses.replace(jobs[0], problem="has no mask")
    counts = batch.run(jobs, batch.Report(tmp_path / "out"), work, {})
    assert counts == {"failed": 1, "ok": 4}
    assert lines(tmp_path / "out")[0]["reason"] == "has no mask"


def test_outputs_may_end_like_their_photo(scans, tmp_path):
    jobs = plan(scans, tmp_path, ["restored"], lambda photo, kind: photo.suffix)
    assert [job.outputs["restored"].name for job in jobs][:2] == [
        "a.jpg_restored.jpg",
        "a.png_restored.png",
    ]


def test_half_a_line_is_forgotten(scans, tmp_path):
    out = tmp_path / "out"
    go(scans, out)
    with (out / "report.jsonl").open("ab") as file:
        file.write('{"photo": "é'.encode()[:-1])
    assert go(scans, out) == {"nothing_to_do": 5}
    assert len(lines(out)) == 10


def test_a_failed_photo_leaves_no_files(scans, tmp_path):
    def stumble(job):
        work(job)
        raise OSError("disk full")

    assert go(scans, tmp_path / "out", stumble) == {"failed": 5}
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"report.jsonl"}
    assert go(scans, tmp_path / "out") == {"ok": 5}


def test_a_failed_photo_leaves_no_mixture_of_old_and_new_files(scans, tmp_path):
    def stumble(job):
        job.outputs["mask"].write_bytes(b"new")
        raise OSError("disk full")

    out = tmp_path / "out"
    go(scans, out)
    before = (out / "b_prob.png").read_bytes()
    assert go(scans, out, stumble, force=True) == {"failed": 5}
    assert not list(out.rglob("*_mask.png")) and (out / "b_prob.png").read_bytes() == before
    assert go(scans, out) == {"ok": 5}


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpeg"])
@pytest.mark.parametrize("letter", ["x", "é", "e\u0301", "家", "😀"])
def test_every_name_that_a_photo_can_have_is_short_enough_for_its_files(tmp_path, letter, ending):
    long = letter * ((255 - len(ending)) // len(letter.encode()))
    for name in (long + ending, long[:-1] + "z" + ending, letter + ending):
        write(tmp_path / "in" / name)
    out, kinds = tmp_path / "out", ("restored_color", "restored", "p999_restored_color")

    def planned():
        return plan(tmp_path / "in", out, kinds, lambda photo, kind: photo.suffix)

    jobs = planned()
    paths = [path for job in jobs for path in job.outputs.values()]
    assert len({*paths}) == 9 and all(len(os.fsencode(path.name)) <= 255 for path in paths)
    assert batch.run(jobs, batch.Report(out), work, {}) == {"ok": 3}
    assert batch.run(planned(), batch.Report(out), work, {}) == {"nothing_to_do": 3}
    assert f"{letter}_restored{ending}" in os.listdir(out)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are text")
def test_names_that_are_no_text_are_told_and_found_again(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xff.png")
    write(tmp_path / "in" / name)
    write(tmp_path / "in" / "☀.png")
    out = tmp_path / "out"
    for expected in {"ok": 2}, {"nothing_to_do": 2}:
        assert go(tmp_path / "in", out) == expected
    assert [line["photo"] for line in lines(out)] == [name, "☀.png"] * 2
    assert "☀.png".encode() in (out / "report.jsonl").read_bytes()


def test_masks_that_may_have_been_edited_are_kept(scans, tmp_path):
    out = tmp_path / "out"
    go(scans, out, threshold=0.5)
    mask = out / "b_mask.png"
    mask.write_bytes(b"edited")
    assert go(scans, out, threshold=0.5) == {"nothing_to_do": 5}
    (out / "b_prob.png").unlink()
    assert go(scans, out, threshold=0.5) == {"nothing_to_do": 4, "ok": 1}
    assert mask.read_bytes() == b"edited" and (out / "b_prob.png").exists()
    for _ in range(2):
        assert go(scans, out, threshold=0.6) == {"failed": 5}
    assert mask.read_bytes() == b"edited"
    assert "--force" in lines(out)[-1]["reason"]
    assert go(scans, out, threshold=0.6, force=True) == {"ok": 5}


def test_a_photo_that_changed_is_not_called_done(scans, tmp_path):
    go(scans, tmp_path / "out")
    write(scans / "b.png", PIXELS[:4])
    assert go(scans, tmp_path / "out") == {"nothing_to_do": 4, "failed": 1}
    [reason] = [line["reason"] for line in lines(tmp_path / "out") if line["status"] == "failed"]
    assert "was made of the photo before it was changed;" in reason


def test_files_from_elsewhere_are_kept(scans, tmp_path):
    mine = write(tmp_path / "out" / "b_mask.png", PIXELS[:4])
    before = mine.read_bytes()
    assert go(scans, tmp_path / "out") == {"ok": 4, "failed": 1}
    assert mine.read_bytes() == before


def test_a_report_that_is_none_is_refused(tmp_path):
    (tmp_path / "report.jsonl").write_text("no json\n")
    with pytest.raises(ValueError, match="line 1"):
        batch.Report(tmp_path)


def told(out):
    return {line["photo"]: line for line in lines(out)}


def test_what_is_passed_over_is_told_once_and_what_cannot_be_read_fails(scans, tmp_path):
    (scans / "notes.txt").write_text("of 1923")
    (scans / "album").symlink_to(tmp_path)
    (scans / "box" / "lost").symlink_to(tmp_path / "nowhere")
    out = tmp_path / "out"
    assert go(scans, out) == {"ok": 5, "failed": 1}
    found = told(out)
    assert found["notes.txt"]["status"] == found["album"]["status"] == "passed_over"
    assert found["notes.txt"]["reason"] == "is no photo by its content"
    assert found["box/lost"]["status"] == "failed" and "nowhere" in found["box/lost"]["reason"]
    assert go(scans, out) == {"nothing_to_do": 5, "failed": 1}
    assert len(lines(out)) == 8 + 5 + 1  # the fault again, as those of photos
    told_last = closing(plan(scans, out, ["mask"]))
    assert told_last == (
        "1 file is no photo, 1 link to a folder was not followed, 1 link leads nowhere: "
        "see report.jsonl"
    )
    (scans / "letter.pdf").write_text("%PDF")
    assert "2 files are no photos," in closing(plan(scans, out, ["mask"]))


def test_nothing_is_said_of_a_folder_that_holds_photos_alone(scans, tmp_path):
    assert closing(plan(scans, scans / "out", ["mask"])) == ""
    go(scans, scans / "out")
    assert closing(plan(scans, scans / "out", ["mask"])) == ""


def test_a_folder_without_photos_says_what_is_in_there(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("of 1923")
    with pytest.raises(ValueError, match=r"in: no photos in there \(1 file is no photo\)"):
        plan(tmp_path / "in", tmp_path / "out", ["mask"])


@pytest.mark.parametrize("first", ["a.jpg", "a.png", "a_restored.jpg"])
def test_photos_that_have_been_done_keep_the_names_of_their_files(tmp_path, first):
    scans, out, kinds = tmp_path / "in", tmp_path / "out", ("restored", "restored_color", "color")

    def planned():
        return plan(scans, out, kinds, lambda photo, kind: ".png")

    write(scans / first)
    assert batch.run(planned(), batch.Report(out), work, {}) == {"ok": 1}
    done = {path: path.stat() for path in out.glob("*.png")}
    for newcomer in {"a.jpg", "a.png", "a_restored.jpg", "A.tif", "a"} - {first}:
        write(scans / "new.png").rename(scans / newcomer)
    assert batch.run(planned(), batch.Report(out), work, {}) == {"nothing_to_do": 1, "ok": 4}
    assert {path: path.stat() for path in done} == done
    assert len([*out.glob("*.png")]) == 15
    assert batch.run(planned(), batch.Report(out), work, {}) == {"nothing_to_do": 5}
    for newcomer in {"a.jpg", "a.png", "a_restored.jpg", "A.tif", "a"} - {first}:
        (scans / newcomer).unlink()
    assert batch.run(planned(), batch.Report(out), work, {}) == {"nothing_to_do": 1}


def test_names_that_were_kept_are_never_taken():
    photos = [pathlib.Path(name) for name in ("a.png.jpg", "a.jpg", "a.png", "b.jpg", "b_x.jpg")]
    kept = {photos[0]: "a.png", photos[1]: "a", photos[3]: "b", photos[4]: "b_x"}
    labels = names.labels(photos, ("x", "x_x"), kept)
    assert labels[:2] == ["a.png", "a"] and labels[2].startswith("a.png~")
    assert labels[3:] == ["b.jpg", "b_x.jpg"]  # they were given apart, and clash together


@pytest.mark.parametrize(("name", "ending"), [("a.jpg", ".png"), ("b", ".png"), ("c.JFIF", ".jpg")])
def test_files_end_as_what_the_photo_holds(tmp_path, name, ending):
    write(tmp_path / f"x{ending}").rename(tmp_path / name)
    [job] = plan(tmp_path / name, tmp_path / "o", ["color"], lambda photo, kind: photo.suffix)
    assert job.outputs["color"].suffix == ending


@pytest.mark.skipif(sys.platform == "darwin", reason="there the two names are one")
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_folder_that_comes_back_with_other_accents_is_known(tmp_path, forms):
    first, second = (unicodedata.normalize(form, "été/Großmutter é.png") for form in forms)
    photo = write(tmp_path / "in" / first)
    assert go(tmp_path / "in", tmp_path / "out") == {"ok": 1}
    (tmp_path / "in" / second).parent.mkdir()
    photo.rename(tmp_path / "in" / second)
    assert go(tmp_path / "in", tmp_path / "out") == {"nothing_to_do": 1}
