"""Speed and memory of `oldphoto restore`: measured right, on small photos."""

import argparse
import json

import numpy as np
import pytest

from experiments.speed import restore, visit
from oldphoto_jax.data import sources
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import colorize, tiles
from oldphoto_jax.restore.restorer import Restorer
from tests.faults import pretend


@pytest.fixture(scope="module")
def photos():
    return sources.open_photos("samples")


def test_a_visit_is_watched_killed_and_its_events_are_counted(tmp_path):
    told = visit.visit(["info"], tmp_path, counted=True).succeeded()
    assert told.events == {} or all(isinstance(n, int) for n in told.events.values())
    assert told.seconds > 0 and 10 < told.anonymous < told.peak < 10_000
    assert visit.visit(["info"], tmp_path, patience=0).status == -9
    with pytest.raises(SystemExit, match="--out"):
        visit.visit(["restore"], tmp_path).succeeded()


def test_untrained_networks_take_the_sides_of_the_packaged_ones(tmp_path):
    names = ("detector", "inpainter", "colorizer")
    words = visit.untrained(tmp_path)
    assert words[::2] == [f"--{name}" for name in names]
    own = Restorer.from_weights(*words[1::2])
    packaged = Restorer.from_weights()
    sizes = [(h, w) for h in (64, 300, 1500) for w in (64, 700, 2000)]
    assert [asked(own, *size) for size in sizes] == [asked(packaged, *size) for size in sizes]


def asked(restorer, height, width):
    """The sides of the tiles to find and to fill in a photo of this size, and those of its view."""
    finder, filler, painter = restorer.detector, restorer.inpainter, restorer.colorizer
    down, across = tiles.plan(height, width, finder.tile, finder.overlap, finder.multiple)
    small = colorize.working_size(height, width, painter.size)
    view = colorize.view(*small, painter.size, painter.stage.predictor.multiple)
    return down.side, across.side, filler.tile, view


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


def test_each_part_of_the_speeds_measures_what_it_says(photos, tmp_path, monkeypatch):
    calls = []
    events = dict.fromkeys(visit.CACHE_EVENTS.values(), 3)

    def fake(arguments, cache, counted=False, environment=None, **how):
        calls.append([*map(str, arguments)])
        if "--help" in arguments:
            return pretend.seen()
        source, out = pretend.options_of(arguments)
        pretend.restore(arguments)
        if environment:  # one device, or more: the second differs by one step in one picture
            more = environment["XLA_FLAGS"].endswith("=8")
            made = out / "000_color.png"
            files.write_png(made, np.full((2, 2, 1), 9 + more, np.uint8))
        return pretend.seen(events=events if counted else None)

    monkeypatch.setattr(visit, "visit", fake)
    sizes = {1: (60, 90), 6: (100, 150), 24: (120, 180), 100: (200, 300)}
    monkeypatch.setattr(restore, "MEGAPIXELS", sizes)
    monkeypatch.setattr(restore, "SIDES", (20, 90))
    results = str(tmp_path / "rows.jsonl")
    options = argparse.Namespace(
        part=restore.PARTS,
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
    rows = dict(restore.measure(options, photos))
    assert [row["photos/s"] for row in rows["batch"]] == [2.5, 2.5]
    assert [row["photos/s without start-up"] for row in rows["batch"]] == [2.0, 2.0]
    (many,) = rows["many"]
    assert many["seconds a photo"] == many["seconds"] / 5
    assert [row["file"] for row in rows["sizes"]] == [".jpg", ".tif"]
    assert rows["sizes"][1]["the photo itself, MiB"] == 200 * 300 * 3 / 2**20
    told = [(row["traced"], row["compiled"], row["from cache"]) for row in rows["shapes"]]
    assert told == [(7, 3, 3), (7, 3, 3)] and rows["shapes"][0]["possible"] == 2 + 1 + 3
    assert [row["cache"] for row in rows["start"]] == ["empty", "full", "--help"]
    (devices,) = rows["devices"]
    assert devices["pictures"] == 9 and devices["the same, share"] == 8 / 9
    assert devices["largest difference of 255"] == 1 and devices["masks the same"] == 3
    first = len(calls)
    assert dict(restore.measure(options, photos)) == rows
    assert len(calls) == first  # all rows were kept
