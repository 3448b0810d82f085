"""Speed, memory and faults of `oldphoto restore`: measured and judged right, on small photos."""

import argparse
import json
import subprocess
import sys

import numpy as np
import pytest

from experiments import aftermath, broken, restore_faults, restore_speed, visit
from oldphoto_jax.data import sources
from oldphoto_jax.photo import content
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore.restorer import PICTURES, Restorer

KINDS = ("prob", "mask", *PICTURES)


@pytest.fixture(scope="module")
def photos():
    return sources.open_photos("samples")


@pytest.fixture(scope="module")
def packaged():
    return Restorer.from_weights()


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """Small photos of all kinds."""
    path = tmp_path_factory.mktemp("small") / "photos"
    broken.build(path, photos, 12)
    return path


def seen(status=0, err="5 ok; programs for 7 shapes\n", events=None, peak=99.0):
    return visit.Visit(status, 2.0, peak, 66.0, json.dumps(events or {}), err)


def options_of(arguments):
    """The photos and the folder that a command names."""
    photo = arguments[1]
    return (photo, arguments[arguments.index("--out") + 1]) if "--out" in arguments else None


def pretend(arguments, *_, spoil=lambda path: None, kill=lambda: False, **how):
    """Restores as the command would, in an instant, and is killed between two files."""
    source, out = options_of(arguments)
    out.mkdir(exist_ok=True)
    done = aftermath.finished(out)
    masks = arguments[arguments.index("--mask") + 1] if "--mask" in arguments else None
    failures = 0
    for path in files.find(source):
        if path.name in done:
            continue
        entry = {"photo": path.name, "status": "ok", "filled": 0.1, "left": 0, "seconds": 0.5}
        try:
            if path.name == "locked.jpg":  # which root can read
                raise content.PhotoError(f"{path}: cannot be opened")
            size = files.read(path).pixels.shape
            if masks is not None:
                mask = masks if masks.is_file() else masks / f"{path.stem}_mask.png"
                if files.read(mask).pixels.shape[:2] != size[:2]:
                    raise content.PhotoError(f"{mask}: the mask has another size")
        except content.PhotoError as error:
            entry |= {"status": "failed", "reason": str(error)}
            failures += 1
        else:
            for kind in KINDS:
                made = out / f"{path.stem}_{kind}.png"
                files.write_png(made, np.full((2, 2, 1), len(kind), np.uint8))
                spoil(made)
                if kind == "mask" and kill():
                    return seen(-9)
        with (out / aftermath.REPORT).open("a") as report:
            report.write(json.dumps(entry) + "\n")
    return seen(1 if failures else 0)


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
    assert aftermath.lines(tmp_path) == []
    (tmp_path / aftermath.REPORT).write_text("\n".join([*entries, '{"photo": "c']))
    assert aftermath.lines(tmp_path) == [done, again, failed]
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


def test_a_visit_is_watched_killed_and_its_events_are_counted(tmp_path):
    told = visit.visit(["info"], tmp_path, counted=True).succeeded()
    assert told.events == {} or all(isinstance(n, int) for n in told.events.values())
    assert told.seconds > 0 and 10 < told.anonymous < told.peak < 10_000
    assert visit.visit(["info"], tmp_path, patience=0).status == -9
    with pytest.raises(SystemExit, match="--out"):
        visit.visit(["restore"], tmp_path).succeeded()


def test_untrained_networks_take_the_sides_of_the_packaged_ones(packaged, tmp_path):
    names = ("detector", "inpainter", "colorizer")
    words = visit.untrained(tmp_path)
    assert words[::2] == [f"--{name}" for name in names]
    own = Restorer.from_weights(*words[1::2])
    sizes = [(h, w) for h in (64, 300, 1500) for w in (64, 700, 2000)]
    assert [own.place(*size) for size in sizes] == [packaged.place(*size) for size in sizes]


def test_rows_are_kept_and_not_measured_again(tmp_path, capsys):
    path = tmp_path / "runs" / "rows.jsonl"
    first = visit.Results(path).add({"part": "a", "n": 1}, lambda: {"seconds": 2.5})
    second = visit.Results(path)
    assert second.add({"part": "a", "n": 1}, lambda: pytest.fail("again")) == first
    assert second.add({"part": "a", "n": 2}, lambda: {"seconds": 1.0})["seconds"] == 1.0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["n"] for row in printed] == [1, 1, 2]
    lines = visit.table([{"what": "a|b", "seconds": 1234.5}, {"what": "c", "seconds": 0.12345}])
    head, sides, *body = lines.splitlines()
    assert (head, sides) == ("| what | seconds |", "| --- | ---: |")
    assert body == [r"| a\|b | 1,234 |", "| c | 0.123 |"]


def test_each_part_of_the_speeds_measures_what_it_says(photos, packaged, tmp_path, monkeypatch):
    calls = []
    events = dict.fromkeys(visit.CACHE_EVENTS.values(), 3)

    def fake(arguments, cache, counted=False, environment=None, **how):
        calls.append([*map(str, arguments)])
        if "--help" in arguments:
            return seen()
        source, out = options_of(arguments)
        pretend(arguments)
        if environment:  # one device, or more: the second differs by one step in one picture
            more = environment["XLA_FLAGS"].endswith("=8")
            made = out / "000_color.png"
            files.write_png(made, np.full((2, 2, 1), 9 + more, np.uint8))
        return seen(events=events if counted else None)

    monkeypatch.setattr(visit, "visit", fake)
    monkeypatch.setattr(Restorer, "from_weights", lambda: packaged)
    sizes = {1: (60, 90), 6: (100, 150), 24: (120, 180), 100: (200, 300)}
    monkeypatch.setattr(restore_speed, "MEGAPIXELS", sizes)
    monkeypatch.setattr(restore_speed, "SIDES", (20, 90))
    results = str(tmp_path / "rows.jsonl")
    options = argparse.Namespace(
        part=restore_speed.PARTS,
        photos="samples",
        results=results,
        batch=[1, 2],
        count=5,
        megapixels=[1, 100],
        ending=None,
        different=6,
        repeats=2,
        small=3,
    )
    rows = dict(restore_speed.measure(options, photos))
    assert [row["photos/s"] for row in rows["batch"]] == [2.5, 2.5]
    assert [row["photos/s without start-up"] for row in rows["batch"]] == [2.0, 2.0]
    assert [row["file"] for row in rows["sizes"]] == [".jpg", ".tif"]
    assert rows["sizes"][1]["the photo itself, MiB"] == 200 * 300 * 3 / 2**20
    told = [(row["traced"], row["compiled"], row["from cache"]) for row in rows["buckets"]]
    assert told == [(7, 3, 3), (7, 3, 3)] and rows["buckets"][0]["possible"] > 20
    assert [row["cache"] for row in rows["start"]] == ["empty", "full", "--help"]
    (devices,) = rows["devices"]
    assert devices["pictures"] == 9 and devices["the same, share"] == 8 / 9
    assert devices["largest difference of 255"] == 1 and devices["masks the same"] == 3
    first = len(calls)
    assert dict(restore_speed.measure(options, photos)) == rows
    assert len(calls) == first  # all rows were kept


def judged(folder, photos, monkeypatch, count=10, kills=4, **spoiled):
    """The rows of all faults but that of the full disk, by what went wrong."""
    monkeypatch.setattr(
        visit, "visit", lambda arguments, *_, **how: pretend(arguments, **spoiled, **how)
    )
    faults = restore_faults.Faults(folder, photos, count, [])
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
    faults = restore_faults.Faults(tmp_path, photos, 40, more)
    rows = [*faults.killed(3), *faults.full(), *faults.masks()]
    assert [row for row in rows if not row.fine] == []
