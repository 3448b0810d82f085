import dataclasses
import json
import pathlib

import cv2
import numpy as np
import pytest

from oldphoto_jax.restore import batch

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
    jobs = batch.plan(source, out, ("mask", "prob"))
    return batch.run(jobs, batch.Report(out), work, settings, force)


def lines(out):
    return [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").split("\n")[:-1]]


def test_the_tree_is_kept_and_namesakes_keep_their_ending(scans, tmp_path):
    jobs = batch.plan(scans, tmp_path / "out", ["mask"])
    made = {job.name: job.outputs["mask"].relative_to(tmp_path / "out").as_posix() for job in jobs}
    assert made == {
        "a.jpg": "a.jpg_mask.png",
        "a.png": "a.png_mask.png",
        "b.png": "b_mask.png",
        "box/a.jpg": "box/a_mask.png",
        "Álbum 1/été\u2028☀.png": "Álbum 1/été\u2028☀_mask.png",
    }


def test_labels_differ_whatever_the_names():
    names = ["a.jpg", "A.png", "a.jpg.png", "b.tif", "a.jpg.tif"]
    labels = batch.labels([pathlib.Path(name) for name in names])
    assert labels == ["a.jpg", "A.png", "a.jpg.png", "b", "a.jpg.tif"]


def test_one_photo_may_lie_beside_its_mask(tmp_path):
    photo = write(tmp_path / "a.jpg")
    [job] = batch.plan(photo, tmp_path, ["mask"])
    assert job.outputs["mask"] == tmp_path / "a_mask.png"


def test_photos_are_never_overwritten(scans, tmp_path):
    with pytest.raises(ValueError, match="is the folder of the photos"):
        batch.plan(scans, scans, ["mask"])
    with pytest.raises(ValueError, match="holds photos of its own"):
        batch.plan(scans, scans / "box", ["mask"])
    write(scans / "scans" / "c.png")
    write(scans / "c_mask.png")
    with pytest.raises(ValueError, match="would overwrite a photo"):
        batch.plan(scans, scans.parent, ["mask"])


def test_results_inside_the_folder_are_no_photos(scans):
    count = len(batch.plan(scans, scans / "out", ["mask"]))
    go(scans, scans / "out")
    assert len(batch.plan(scans, scans / "out", ["mask"])) == count


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no photos"):
        batch.plan(tmp_path, tmp_path / "out", ["mask"])


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
    assert not list(out.glob(f"{batch.DOING}*"))


def test_stages_share_a_folder_and_its_report(scans, tmp_path):
    out = tmp_path / "out"
    go(scans, out)
    jobs = batch.plan(scans, out, ["restored"])
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
    [job] = batch.plan(scans / "b.png", out, ["restored"])
    job = dataclasses.replace(job, inputs={"mask": mask})
    for expected in "ok", "nothing_to_do":
        assert batch.run([job], batch.Report(out, "inpaint"), work, {}) == {expected: 1}
    write(mask, PIXELS[:4])
    assert batch.run([job], batch.Report(out, "inpaint"), work, {}) == {"failed": 1}
    assert "was made with another mask; choose another --out" in lines(out)[-1]["reason"]
    assert batch.run([job], batch.Report(out, "inpaint"), work, {}, force=True) == {"ok": 1}


def test_a_job_with_a_problem_fails_with_it(scans, tmp_path):
    jobs = batch.plan(scans, tmp_path / "out", ["restored"])
    jobs[0] = dataclasses.replace(jobs[0], problem="has no mask")
    counts = batch.run(jobs, batch.Report(tmp_path / "out"), work, {})
    assert counts == {"failed": 1, "ok": 4}
    assert lines(tmp_path / "out")[0]["reason"] == "has no mask"


def test_outputs_may_end_like_their_photo(scans, tmp_path):
    jobs = batch.plan(scans, tmp_path, ["restored"], lambda photo, kind: photo.suffix)
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
