"""Faults of `oldphoto restore`: laid and judged right, on small photos."""

import json
import subprocess
import sys

import pytest

from experiments.speed import visit
from oldphoto_jax.data import sources
from oldphoto_jax.photo import content
from oldphoto_jax.photo.disk import files
from tests.faults import aftermath, broken, pretend, restore


@pytest.fixture(scope="module")
def photos():
    return sources.open_photos("samples")


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """Small photos of all kinds."""
    path = tmp_path_factory.mktemp("small") / "photos"
    broken.build(path, photos, 12)
    return path


def test_photos_of_all_kinds_are_readable_and_others_are_not(folder, tmp_path):
    read = {path.name: files.read(path).pixels for path in files.find(folder)}
    assert len(read) == 12
    assert {path.suffix for path in folder.iterdir()} == {ending for ending, _ in broken.KINDS}
    assert {str(pixels.dtype) for pixels in read.values()} == {"uint8", "uint16"}
    assert {pixels.shape[-1] for pixels in read.values()} == {1, 3}
    laid = broken.unreadable(tmp_path, folder)
    assert {path.name for path in tmp_path.iterdir()} == laid.keys()
    passed = {"nowhere.jpg", "pipe.jpg", "folder.jpg"}
    found = files.find(tmp_path)
    assert {path.name for path in found} == laid.keys() - passed
    for path in found:
        if path.name != "locked.jpg":
            with pytest.raises(content.PhotoError):
                files.read(path)


def test_bombs_promise_more_than_is_allowed_and_the_promise_does_not(tmp_path):
    for name in broken.bombs(tmp_path):
        with pytest.raises(content.PhotoError, match="more than max_pixels"):
            files.header(tmp_path / name)
    (name,) = broken.promise(tmp_path)
    assert files.header(tmp_path / name).height == 22_000


def test_what_is_left_in_a_folder_is_told(tmp_path):
    done = {"photo": "a.jpg", "status": "ok"}
    again = {"photo": "a.jpg", "status": "nothing_to_do", "reason": aftermath.BEFORE}
    failed = {"photo": "b.jpg", "status": "failed"}
    entries = [json.dumps(entry) for entry in (done, again, failed)]
    assert visit.lines(tmp_path) == []
    (tmp_path / visit.REPORT).write_text("\n".join([*entries, '{"photo": "c']))
    assert visit.lines(tmp_path) == [done, again, failed]
    assert aftermath.finished(tmp_path) == {"a.jpg": 1}
    for name in ("a_mask.png", "c_mask.png", ".1234.part"):
        (tmp_path / name).write_bytes(b"1")
    assert aftermath.torn(tmp_path) == {"c"}
    expected = {"a_mask.png": b"1", "c_mask.png": b"2", "d_mask.png": b"3"}
    told = aftermath.differences(tmp_path, expected)
    assert told == "other bytes in c_mask.png; left over: .1234.part; missing: d_mask.png"
    assert aftermath.differences(tmp_path, aftermath.tree(tmp_path)) == ""


def test_a_full_disk_is_full_until_there_is_room(tmp_path):
    write = "import sys; open(sys.argv[1], 'wb').write(bytes(100_000))"
    with aftermath.disk(tmp_path / "disk", 40_960) as (what, limit, enlarge):
        command = [sys.executable, "-c", write, str(tmp_path / "disk" / "file")]
        assert subprocess.run(command, capture_output=True, preexec_fn=limit).returncode
        enlarge()
        assert not subprocess.run(command, capture_output=True).returncode
    assert what.startswith(("tmpfs of 40 KiB", "files of at most"))


def judged(folder, photos, monkeypatch, count=10, kills=4, **spoiled):
    """The rows of all faults but that of the full disk, by what went wrong."""
    monkeypatch.setattr(
        visit, "visit", lambda arguments, *_, **how: pretend.restore(arguments, **spoiled, **how)
    )
    faults = restore.Faults(folder, photos, count, [])
    rows = [*faults.killed(kills)]
    for name in ("unreadable", "bombs", "promise", "masks"):
        rows += getattr(faults, name)()
    return {f"{number} {row.fault}": row for number, row in enumerate(rows)}


def test_faults_that_harm_nothing_are_fine(photos, tmp_path, monkeypatch):
    rows = judged(tmp_path, photos, monkeypatch)
    assert [name for name, row in rows.items() if not row.fine] == []
    kills = [row for row in rows.values() if row.exit == -9]
    assert len(kills) == 4 and "1 half-done" in kills[1].happened
    assert any("more than max_pixels" in row.happened for row in rows.values())


def test_a_file_that_was_made_otherwise_after_a_kill_is_found(photos, tmp_path, monkeypatch):
    def spoil(path):
        if path.parent.name == "killed" and path.name == "003_color.png":
            path.write_bytes(path.read_bytes() + b"more")

    rows = judged(tmp_path, photos, monkeypatch, spoil=spoil)
    wrong = [row for row in rows.values() if "other bytes in 003_color.png" in row.happened]
    assert len(wrong) == 1 and not wrong[0].fine


@pytest.mark.slow
def test_the_command_withstands_being_killed(photos, tmp_path):
    more = visit.untrained(tmp_path / "networks")
    faults = restore.Faults(tmp_path, photos, 40, more)
    rows = [*faults.killed(3), *faults.full(), *faults.masks()]
    assert [row for row in rows if not row.fine] == []
