"""`oldphoto evaluate`: methods side by side on photos whose truth is known."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import CHOICES, COLORIZER, DETECTOR, INPAINTER

Seen = TypeVar("Seen")
CLASSIFIERS = ("efficientnet-lite0", "resnet50")  # of `metrics.classifier`


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "measure methods on photos whose truth is known, all of them on the same"
    evaluate = commands.add_parser("evaluate", help=text, description=text)
    tasks = evaluate.add_subparsers(required=True, metavar="TASK")
    text = "how well defects are found"
    segment = tasks.add_parser("segment", parents=[shared], help=text, description=text)
    _add_exam(segment)
    _add_damage(segment)
    _add_kinds(segment)
    add = segment.add_argument
    add("--method", action="append", default=[], choices=["tophat"], help="beside, or instead of")
    add("--tta", action="store_true", help="average over mirror images")
    text = "an exam of damage that a child would point at, kind by kind, dark and light"
    add("--obvious", action="store_true", help=text)
    text = "no exam, but whole photos with true masks, NAME_mask.png beside NAME or in MASKS"
    add("--pairs", metavar="FOLDER[@MASKS]", help=text)
    segment.set_defaults(command=_segment)
    text = "how well holes are filled, by their width and by how many there are"
    inpaint = tasks.add_parser("inpaint", parents=[shared], help=text, description=text)
    _add_exam(inpaint)
    _add_damage(inpaint)
    add = inpaint.add_argument
    add(
        "--method",
        action="append",
        choices=CHOICES,
        help="may be given several times (all)",
    )
    most = "thickness of the largest holes (%(default)s)"
    add("--max-size", type=int, default=64, metavar="PX", help=most)
    large = "share of photos that get a large hole (%(default)s)"
    add("--large", type=float, default=0.15, metavar="SHARE", help=large)
    text = "the holes are what these weights find, grown by 2 px (without a name: %(const)s)"
    add("--found", nargs="?", const=DETECTOR, metavar="WEIGHTS", help=text)
    _add_lpips(inpaint)
    inpaint.set_defaults(command=_inpaint)
    text = "how well gray photos are coloured, beside plain gray and one tint for all"
    colorize = tasks.add_parser("colorize", parents=[shared], help=text, description=text)
    _add_exam(colorize, size=256, count="how many photos, spread over the source (all)")
    _add_lpips(colorize)
    text = "also what this network of ImageNet's classes takes the photos for, top-1"
    colorize.add_argument("--classifier", choices=CLASSIFIERS, help=text)
    colorize.set_defaults(command=_colorize)


def _add_exam(
    task: ArgumentParser, size: int = 384, count: str = "how many crops (one of each photo)"
) -> None:
    add = task.add_argument
    options.add_weights(task, action="append", default=[], help="may be given several times")
    where = "samples, FOLDER, classes:FOLDER or LIST.txt (%(default)s)"
    add("--photos", default="samples:val", metavar="WHERE", help=where)
    add("--count", type=int, metavar="N", help=count)
    add("--size", type=int, default=size, metavar="PX", help="side of a crop (%(default)s)")
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the figures there")


def _add_damage(task: ArgumentParser) -> None:
    add = task.add_argument
    add("--textures", type=pathlib.Path, metavar="DIR", help="scans of damage to mix in")
    add("--seed", type=int, default=0, help="another seed damages otherwise (%(default)s)")


def _add_kinds(task: ArgumentParser) -> None:
    kinds = task.add_mutually_exclusive_group()
    text = "kinds of damage, or families of --textures, drawn alone (all)"
    kinds.add_argument("--only", nargs="+", default=[], metavar="KIND", help=text)
    text = "draw only kinds that the network, the first of several, was trained without"
    kinds.add_argument("--unseen", action="store_true", help=text)


def _add_lpips(task: ArgumentParser) -> None:
    text = "network of LPIPS (alex, where it is installed)"
    task.add_argument("--lpips", choices=["alex", "vgg"], help=text)


def _pairs(args: Namespace) -> int:
    """Methods on photos with true masks."""
    from oldphoto_jax.data.pairs import Pairs
    from oldphoto_jax.exams import pairs
    from oldphoto_jax.predictors.defects import DefectPredictor
    from oldphoto_jax.restore import stage

    drawn: dict[str, Any] = {"photos": "samples:val", "count": None, "size": 384, "seed": 0}
    drawn |= {"textures": None, "only": [], "unseen": False, "obvious": False}
    if given := [name for name, default in drawn.items() if getattr(args, name) != default]:
        flags = " and ".join(f"--{name}" for name in given)
        raise ValueError(
            f"--pairs: these photos are whole, and nothing is drawn; leave out {flags}"
        )
    photos = Pairs.named(args.pairs)
    methods = [
        pairs.network(
            str(path or DETECTOR),
            stage.load(path, DETECTOR, DefectPredictor),
            args.tta,
        )
        for path in args.weights or ([] if args.method else [None])
    ]
    methods += [pairs.METHODS[name] for name in args.method]
    result = pairs.evaluate(photos.readable(), methods)
    return _show(result, pairs.table(result), args.json)


def _segment(args: Namespace) -> int:
    from oldphoto_jax.exams import defects, obvious
    from oldphoto_jax.predictors.defects import DefectPredictor
    from oldphoto_jax.restore import stage

    stage.prepare()
    if args.pairs is not None:
        return _pairs(args)
    weights = args.weights or ([] if args.method else [None])
    if args.unseen and not weights:
        raise ValueError("--unseen: only weights tell what they have not seen; give --weights")
    if args.unseen and args.obvious:
        raise ValueError("--unseen: of the obvious no training draws any kind; leave it out")
    sits = obvious if args.obvious else defects
    exam = sits.Exam(only=tuple(args.only), **_exam(args, "textures", "seed"))
    stages = [
        (str(path or DETECTOR), stage.load(path, DETECTOR, DefectPredictor)) for path in weights
    ]
    if args.unseen:
        exam = dataclasses.replace(exam, only=defects.unseen(*stages[0]))
    methods = [defects.network(name, loaded, args.tta) for name, loaded in stages]
    methods += [defects.METHODS[name] for name in args.method]
    result = sits.evaluate(exam, methods)
    return _show(result, sits.table(result), args.json)


def _inpaint(args: Namespace) -> int:
    from oldphoto_jax.exams import filling, hole_figures
    from oldphoto_jax.predictors.defects import DefectPredictor
    from oldphoto_jax.predictors.filling import FillingPredictor
    from oldphoto_jax.restore import inpaint, stage
    from oldphoto_jax.restore.detect import Detector

    stage.prepare()
    chosen = dict.fromkeys(args.method or CHOICES)
    trained = [name for name in chosen if name in inpaint.TRAINED]
    if args.weights and not trained:
        raise ValueError(f"--weights: {', '.join(chosen)} take none")
    exam = filling.Exam(**_exam(args, "textures", "seed", "max_size", "large"))
    if args.found:
        finder = Detector(stage=stage.load(args.found, DETECTOR, DefectPredictor))
        exam = dataclasses.replace(exam, finder=finder)
    methods = []
    for path in args.weights or ([None] if trained else []):
        loaded = stage.load(path, INPAINTER, FillingPredictor)
        methods += [filling.candidate(name, loaded, str(path or INPAINTER)) for name in trained]
    methods += [filling.candidate(name) for name in chosen if name not in trained]
    perception = _perception(filling.lpips, args.lpips, "LPIPS stays blank")
    result = filling.evaluate(exam, methods, perception)
    return _show(result, hole_figures.table(result), args.json)


def _colorize(args: Namespace) -> int:
    from oldphoto_jax.exams import class_figures, color_figures, colors
    from oldphoto_jax.predictors.colors import ColorPredictor
    from oldphoto_jax.restore import stage

    stage.prepare()
    exam = colors.Exam(**_exam(args))
    methods = [
        colors.network(str(path or COLORIZER), stage.load(path, COLORIZER, ColorPredictor))
        for path in args.weights or [None]
    ]
    blank = "LPIPS and Fréchet distance stay blank"
    perception = _perception(color_figures.perception, args.lpips, blank)
    recognition = class_figures.recognition(args.classifier) if args.classifier else None
    result = colors.evaluate(exam, [*methods, *colors.BASELINES], perception, recognition)
    return _show(result, color_figures.table(result), args.json)


def _exam(args: Namespace, *more: str) -> dict[str, Any]:
    from oldphoto_jax.data import sources

    photos = sources.open_photos(args.photos)
    return {"photos": photos} | {name: getattr(args, name) for name in ("count", "size", *more)}


def _perception(load: Callable[[str], Seen], network: str | None, blank: str) -> Seen | None:
    """What `load` gives; without the extra package None, unless the network was asked for."""
    from oldphoto_jax.weights.store import WeightsError

    try:
        return load(network or "alex")
    except WeightsError as error:
        if network:
            raise
        print(f"oldphoto: {blank}. {error}", file=sys.stderr)
        return None


def _show(result: Mapping[str, Any], table: str, file: pathlib.Path | None) -> int:
    print(table)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0
