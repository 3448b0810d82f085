"""What a folder holds: photos by their content, and all else with a reason."""

import os
import socket
import sys

import cv2
import numpy as np
import pytest

from oldphoto_jax.photo.codecs import kinds
from oldphoto_jax.photo.content import PhotoError
from oldphoto_jax.photo.disk import files, survey

PIXELS = np.full((6, 9, 3), 100, np.uint8)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="rights and links are others there")


def png(path, ending=".png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(ending, PIXELS)[1].tobytes())
    return path


def told(folder, but=None):
    photos, left = survey.survey(folder, but)
    names = [path.relative_to(folder).as_posix() for path in photos]
    return names, {one.path.relative_to(folder).as_posix(): one for one in left}


def test_photos_are_told_by_their_content_whatever_they_are_called(tmp_path):
    names = ["a.jfif", "b", "c.dat", "d.jpg_original", "e.txt", "f. Paris 1950", "g.JPE"]
    for name in names:
        png(tmp_path / name, ".jpg")
    assert told(tmp_path) == (names, {})


def test_files_that_are_no_photos_are_told_of(tmp_path):
    foreign = {
        "notes.txt": b"P3 is the street, BM the man, II the king",
        "film.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "letter.pdf": b"%PDF-1.7\n",
        "sound.wav": b"RIFF\x24\0\0\0WAVEfmt ",
        "empty": b"",
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "desktop.ini": b"[.ShellClassInfo]\n",
        "zeros": bytes(100),
        "lines": b"\n\n\n\n",
    }
    png(tmp_path / "a.png")
    for name, data in foreign.items():
        (tmp_path / name).write_bytes(data)
    names, left = told(tmp_path)
    assert names == ["a.png"] and left.keys() == foreign.keys()
    assert {(one.what, one.unreadable) for one in left.values()} == {(survey.FILE, False)}


def test_what_is_called_a_photo_is_one_and_fails_when_it_is_read(tmp_path):
    for number, ending in enumerate(kinds.EXTENSIONS):
        (tmp_path / f"{number}{ending}").write_bytes(b"" if number % 2 else b"no photo")
    names, left = told(tmp_path)
    assert len(names) == len(kinds.EXTENSIONS) and not left
    for name in names:
        with pytest.raises(PhotoError):
            files.read(tmp_path / name)


def test_hidden_files_reports_and_the_folder_of_the_results_are_not_told_of(tmp_path):
    png(tmp_path / "a.png")
    for name in (".DS_Store", ".cache/x", "out/x.txt", "old/report.jsonl", "old/index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert told(tmp_path, tmp_path / "out") == (["a.png"], {})
    (tmp_path / "index.html").write_text("of somebody else")
    assert [*told(tmp_path, tmp_path / "out")[1]] == ["index.html"]


@POSIX
def test_links_count_as_what_they_lead_to_but_folders_are_not_followed(tmp_path):
    png(tmp_path / "elsewhere" / "b.png")
    folder = tmp_path / "scans"
    png(folder / "a.png")
    (folder / "album").symlink_to(tmp_path / "elsewhere")
    (folder / "round").symlink_to(folder)
    (folder / "c.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (folder / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "itself").symlink_to(folder / "itself")
    names, left = told(folder)
    assert names == ["a.png", "c.png"]
    assert {name: (one.what, one.unreadable) for name, one in left.items()} == {
        "album": (survey.LINK, False),
        "round": (survey.LINK, False),
        "lost.png": (survey.LINK, True),
        "itself": (survey.LINK, True),
    }
    assert "not followed" in left["album"].reason and "leads nowhere" in left["lost.png"].reason


@POSIX
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(tmp_path / "s"))
        names, left = told(tmp_path)
    assert not names and [*left] == ["a.png", "s"]
    assert not any(one.unreadable for one in left.values())


@POSIX
def test_what_cannot_be_read_is_told_as_a_fault(tmp_path, monkeypatch):
    png(tmp_path / "a.png")
    png(tmp_path / "locked" / "b.png")
    (tmp_path / "secret").write_bytes(b"?")
    scandir, of = os.scandir, kinds.of

    def refuse(path, whole, name):  # root, as whom tests may run, may read everything
        if os.path.basename(path) == name:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path, scandir, "locked"))
    monkeypatch.setattr(kinds, "of", lambda path: refuse(path, of, "secret"))
    names, left = told(tmp_path)
    assert names == ["a.png"]
    assert {name: (one.what, one.unreadable) for name, one in left.items()} == {
        "locked": (survey.FOLDER, True),
        "secret": (survey.FILE, True),
    }
    assert "Permission denied" in left["locked"].reason
    with pytest.raises(PhotoError, match="locked: cannot be read .Permission denied"):
        survey.survey(tmp_path / "locked")
