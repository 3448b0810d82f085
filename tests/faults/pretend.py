"""`oldphoto restore` as tests pretend it: in an instant, and killed between two files."""

import json

import numpy as np

from experiments.speed import visit
from oldphoto_jax.photo import content
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore.restorer import PICTURES
from tests.faults import aftermath

KINDS = ("prob", "mask", *PICTURES)


def seen(status=0, err="5 ok; programs for 7 shapes\n", events=None, peak=99.0):
    return visit.Visit(status, 2.0, peak, 66.0, json.dumps(events or {}), err)


def options_of(arguments):
    """The photos and the folder that a command names."""
    photo = arguments[1]
    return (photo, arguments[arguments.index("--out") + 1]) if "--out" in arguments else None


def restore(arguments, *_, spoil=lambda path: None, kill=lambda: False, **how):
    """Writes small pictures for every photo, `spoil`s them, and ends as `kill` says."""
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
        with (out / visit.REPORT).open("a") as report:
            report.write(json.dumps(entry) + "\n")
    return seen(1 if failures else 0)
