"""Blind duels are fair: all meet equally often on both sides, and votes are counted as cast."""

import collections
import itertools
import json

import numpy as np
import pytest

from experiments import duel, sheet
from oldphoto_jax.models import unet
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import colorize, stage
from tests import toy, untrained

NETWORK = unet.imagenet(depth=18, stages=3, width=4, decoder_width=2, out_stride=4)
THREE = ("a", "b", "c")


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    kept = {
        "pale": ColorPredictor(network=NETWORK),
        "vivid": ColorPredictor(network=NETWORK, gain=2.0),
    }
    return {name: untrained.save(folder / f"{name}.safetensors", one) for name, one in kept.items()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(3):
        coarse = rng.integers(0, 256, (6, 9, 3), np.uint8)
        files.write_png(folder / f"{i}.png", image.resize(coarse, 60, 90))
    return folder


def test_every_pair_meets_equally_often_on_both_sides_over_all_photos():
    duels = duel.pairing(THREE, [3, 5, 8, 9], 4, seed=1)
    assert len({one.place for one in duels}) == len(duels) == 12
    assert [one.place for one in duels[:5]] == ["1.1", "1.2", "1.3", "1.4", "2.1"]
    met = collections.Counter((one.left, one.right) for one in duels)
    assert met == {pair: 2 for pair in itertools.permutations(THREE, 2)}
    for pair in itertools.combinations(THREE, 2):
        seen = [one.photo for one in duels if {one.left, one.right} == set(pair)]
        assert sorted(seen) == [3, 5, 8, 9]


def test_the_order_is_the_seed_s():
    one, again, other = (duel.pairing(THREE, range(8), 8, seed) for seed in (0, 0, 1))
    assert one == again != other
    pairs = [{d.left, d.right} for d in one]
    assert pairs != sorted(pairs, key=sorted)  # not pair after pair


def test_of_an_odd_number_of_duels_chance_says_who_stands_left_once_more():
    more = collections.Counter()
    for seed in range(40):
        met = collections.Counter((d.left, d.right) for d in duel.pairing(THREE, range(5), 3, seed))
        for one, other in itertools.combinations(THREE, 2):
            assert {met[one, other], met[other, one]} == {1, 2}
            more[one if met[one, other] == 2 else other, one, other] += 1
    assert len(more) == 6 and min(more.values()) >= 8


def test_of_few_photos_each_has_several_turns():
    duels = duel.pairing(("a", "b"), [7, 9], 6, seed=0)
    assert collections.Counter(d.photo for d in duels) == {7: 3, 9: 3}


def test_wins_are_counted_for_the_network_not_for_the_side():
    duels = [
        duel.Duel("1.1", 0, "a", "b"),
        duel.Duel("1.2", 1, "b", "a"),
        duel.Duel("1.3", 0, "c", "b"),
        duel.Duel("1.4", 0, "a", "c"),
    ]
    votes = {"1.1": "left", "1.2": "right", "1.3": "equal", "1.4": "left"}
    lines = duel.tally(duels, votes).splitlines()
    assert lines[0] == "| network | won | against a | against c | against b |"
    assert lines[2:5] == [
        "| a | 3 of 3 |  | 1 of 1 | 2 of 2 |",
        "| c | 0.5 of 2 | 0 of 1 |  | 0.5 of 1 |",
        "| b | 0.5 of 3 | 0 of 2 | 0.5 of 1 |  |",
    ]
    assert lines[-1].startswith("4 duels: 2 left, 1 right, 1 equal. By chance alone")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.1 left\n", "no vote on 1.2; write a line for each"),
        ("1.1 left\n1.2 right\n1.3 left\n", "there is no duel 1.3; leave those lines out"),
        ("1.1 left\n1.1 left\n", "line 2: a second vote on 1.1"),
        ("1.1 lft\n", "line 1: '1.1 lft' is no vote"),
    ],
)
def test_votes_that_cannot_be_counted_are_told(text, told, tmp_path):
    duels = [duel.Duel("1.1", 0, "a", "b"), duel.Duel("1.2", 0, "b", "a")]
    votes = tmp_path / "votes.txt"
    votes.write_text(text)
    with pytest.raises(ValueError, match=told):
        duel.read(votes, duels)
    votes.write_text("\n1.2  equal\n1.1 right \n\n", "utf-8-sig")  # as Windows' editors may
    assert duel.read(votes, duels) == {"1.1": "right", "1.2": "equal"}


def test_from_the_sheets_to_the_table(weights, photos, tmp_path, tmp_path_factory, capsys):
    """The sheets show what users get where the key says so; one who likes vivid colours votes."""
    out = tmp_path / "new" / "duel"
    words = [f"--photos={photos}", f"--out={out}", "--each=3", "--seed=2"]
    named = [f"{name}={path}" for name, path in weights.items()]
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        duel.main(["draw", *words, "--weights", *named])
        stages = {name: stage.load(path) for name, path in weights.items()}
        key, rows = json.loads((out / duel.KEY).read_text()), []
        for one in key["duels"]:
            pixels = files.read(photos / key["photos"][str(one["photo"])]).pixels
            pair = {side: stages[one[side]] for side in ("left", "right")}
            rows.append(sheet.cells(pixels, pair, colorize.SIZE, duel.CELL))
    assert key["photos"] == {"0": "0.png", "1": "1.png", "2": "2.png"}
    wanted = sheet.lay_out(rows, ["gray", "left", "right"], duel.CELL)
    np.testing.assert_array_equal(files.read(out / "1.png").pixels, wanted)
    vivid = ("left" if one["left"] == "vivid" else "right" for one in key["duels"])
    lines = [f"{one['place']} {side}" for one, side in zip(key["duels"], vivid, strict=True)]
    (out / duel.VOTES).write_text("\n".join(lines))
    seen = [path.name for path in out.iterdir()]
    assert sorted(seen) == ["1.png", duel.KEY, duel.VOTES]  # no name tells who is who
    capsys.readouterr()
    duel.main(["count", f"--out={out}"])
    told = capsys.readouterr().out
    assert "| vivid | 3 of 3 |" in told and (out / duel.TABLE).read_text() == told
    with pytest.raises(SystemExit, match="holds duels already"):
        duel.main(["draw", *words, "--weights", *named])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["draw", "--weights", "a=nowhere"], "a duel takes two"),
        (["draw", "--weights", "a=nowhere", "b=nowhere"], "nowhere: there is no such weights"),
        (["draw", "--weights", "a", "b"], "give each as LABEL=FILE_OR_WORKDIR"),
        (["draw"], "a duel takes two"),
        (["count"], "has no key.json: draw the duels first"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(words, told, tmp_path):
    with pytest.raises(SystemExit, match=told):
        duel.main([*words, f"--out={tmp_path / 'duel'}"])
    assert not (tmp_path / "duel").exists()
