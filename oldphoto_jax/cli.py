"""The visitors' door: `oldphoto detect`, `inpaint`, `evaluate`, `info`.

JAX and OpenCV are imported by the commands that need them, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Sequence

import oldphoto_jax

DETECTOR = "segment-lite"  # the packaged weights that a command without --weights uses
INPAINTER = "inpaint-lite"
FILLERS = ("network", "auto", "telea", "navier-stokes", "biharmonic")
EPILOG = "exit status: 0 all went well, 1 some photos failed, 2 wrong usage or unusable weights"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    args = parser().parse_args(argv)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other programs need memory
    try:
        return args.command(args)
    except KeyboardInterrupt:
        print("oldphoto: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        if args.debug or not _meant_for_users(error):
            raise
        print(f"oldphoto: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--debug", action="store_true", help="show where an error arose")
    top = argparse.ArgumentParser("oldphoto", description=oldphoto_jax.__doc__, epilog=EPILOG)
    top.add_argument("--version", action="version", version=oldphoto_jax.__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_detect(commands, shared)
    _add_inpaint(commands, shared)
    _add_evaluate(commands, shared)
    info = commands.add_parser("info", parents=[shared], help="versions, devices, weights")
    info.add_argument("--json", action="store_true", help="as JSON, for a bug report")
    info.set_defaults(command=_info)
    return top


def _add_detect(commands, shared) -> None:
    text = "find scratches, dust, stains and tears; write a mask and a probability map per photo"
    detect = commands.add_parser("detect", parents=[shared], help=text, description=text)
    photos = detect.add_mutually_exclusive_group(required=True)
    photos.add_argument("photos", nargs="?", type=pathlib.Path, metavar="PHOTO_OR_FOLDER")
    photos.add_argument("--sample", action="store_true", help="a packaged photo, to try it out")
    add = detect.add_argument
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where masks go")
    _add_weights(detect)
    add("--threshold", type=float, metavar="P", help="probability above which a pixel is a defect")
    add("--tta", action="store_true", help="average over mirror images: four times the work")
    add("--tile", type=int, default=1024, metavar="PX", help="largest tile side (%(default)s)")
    add("--overlap", type=int, default=64, metavar="PX", help="shared by tiles (%(default)s)")
    add("--min-size", type=int, default=0, metavar="PX", help="leave out smaller specks")
    add("--overlay", action="store_true", help="also write the photo with its defects in red")
    add("--force", action="store_true", help="make again what is already there")
    detect.set_defaults(command=_detect)


def _add_inpaint(commands, shared) -> None:
    text = "fill what a mask marks as damaged; every other pixel stays as it is, to the last bit"
    inpaint = commands.add_parser("inpaint", parents=[shared], help=text, description=text)
    photos = inpaint.add_mutually_exclusive_group(required=True)
    photos.add_argument("photos", nargs="?", type=pathlib.Path, metavar="PHOTO_OR_FOLDER")
    photos.add_argument("--sample", action="store_true", help="a packaged photo and its mask")
    add = inpaint.add_argument
    where = "white where damaged; NAME_mask.png or NAME.png for each NAME of a folder"
    add("--mask", "-m", type=pathlib.Path, metavar="FILE_OR_FOLDER", help=where)
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where photos go")
    _add_weights(inpaint)
    add("--method", choices=FILLERS, default="network", help="what fills holes (%(default)s)")
    thin = "auto: biharmonic for holes up to this thickness, else the network (%(default)s)"
    add("--thin", type=int, default=4, metavar="PX", help=thin)
    limit = "leave thicker holes as they are (%(default)s)"
    add("--max-hole", type=int, default=1024, metavar="PX", help=limit)
    add("--grow", type=int, default=0, metavar="PX", help="grow masks first (%(default)s)")
    feather = "fade out around holes; pixels further away never change (%(default)s)"
    add("--feather", type=int, default=0, metavar="PX", help=feather)
    add("--tile", type=int, default=512, metavar="PX", help="largest tile side (%(default)s)")
    add("--overlap", type=int, default=128, metavar="PX", help="shared by tiles (%(default)s)")
    add("--force", action="store_true", help="make again what is already there")
    inpaint.set_defaults(command=_inpaint)


def _add_evaluate(commands, shared) -> None:
    text = "measure methods on photos that a seeded generator damages, all of them on the same"
    evaluate = commands.add_parser("evaluate", help=text, description=text)
    tasks = evaluate.add_subparsers(required=True, metavar="TASK")
    text = "how well defects are found"
    segment = tasks.add_parser("segment", parents=[shared], help=text, description=text)
    _add_exam(segment)
    add = segment.add_argument
    add("--method", action="append", default=[], choices=["tophat"], help="beside, or instead of")
    add("--tta", action="store_true", help="average over mirror images")
    segment.set_defaults(command=_evaluate_segment)
    text = "how well holes are filled, by their width and by how many there are"
    inpaint = tasks.add_parser("inpaint", parents=[shared], help=text, description=text)
    _add_exam(inpaint)
    add = inpaint.add_argument
    add("--method", action="append", choices=FILLERS, help="may be given several times (all)")
    most = "thickness of the largest holes (%(default)s)"
    add("--max-size", type=int, default=64, metavar="PX", help=most)
    large = "share of photos that get a large hole (%(default)s)"
    add("--large", type=float, default=0.15, metavar="SHARE", help=large)
    add("--lpips", choices=["alex", "vgg"], help="network of LPIPS (alex, where it is installed)")
    inpaint.set_defaults(command=_evaluate_inpaint)


def _add_exam(task) -> None:
    add = task.add_argument
    _add_weights(task, action="append", default=[], help="may be given several times")
    add("--photos", default="samples:val", metavar="WHERE", help="samples, FOLDER or LIST.txt")
    add("--textures", type=pathlib.Path, metavar="DIR", help="scans of damage to mix in")
    add("--count", type=int, metavar="N", help="how many crops (one of each photo)")
    add("--size", type=int, default=384, metavar="PX", help="side of a crop (%(default)s)")
    add("--seed", type=int, default=0, help="another seed damages otherwise (%(default)s)")
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the figures there")


def _add_weights(command, **options) -> None:
    where = dict(metavar="WORKDIR_OR_FILE", help="a training run or a safetensors file")
    command.add_argument("--weights", "-w", type=pathlib.Path, **(where | options))


def _detect(args) -> int:
    from oldphoto_jax.restore import batch, sample, stage
    from oldphoto_jax.restore.detect import Detector
    from oldphoto_jax.tasks.segment import Segment

    kinds = ("mask", "prob", "overlay") if args.overlay else ("mask", "prob")
    photos = sample.write(args.out) if args.sample else args.photos
    jobs = batch.plan(photos, args.out, kinds)
    stage.keep_compiled()
    detector = Detector(
        stage=stage.load(args.weights, DETECTOR, Segment),
        threshold=args.threshold,
        tta=args.tta,
        tile=args.tile,
        overlap=args.overlap,
        min_size=args.min_size,
    )
    report = batch.Report(args.out)
    counts = batch.run(jobs, report, detector, detector.settings, args.force)
    _tell(counts, detector.stage)
    return 1 if counts[batch.FAILED] else 0


def _inpaint(args) -> int:
    from oldphoto_jax.restore import batch, inpaint, masks, sample, stage
    from oldphoto_jax.tasks.inpaint import Inpaint

    if args.sample and args.mask:
        raise ValueError("--mask: the sample brings its own; give --sample or --mask")
    if not args.sample and args.mask is None:
        raise ValueError("--mask: name the photo's mask, or the folder of the masks")
    photos = sample.write(args.out) if args.sample else args.photos
    jobs = batch.plan(photos, args.out, ["restored"], inpaint.suffix)
    jobs = masks.pair(jobs, args.out / sample.TRUTH if args.sample else args.mask)
    trained = args.method in inpaint.TRAINED
    if args.weights and not trained:
        raise ValueError(f"--weights: {args.method} takes none")
    stage.keep_compiled()
    inpainter = inpaint.Inpainter(
        stage=stage.load(args.weights, INPAINTER, Inpaint) if trained else None,
        method=args.method,
        max_hole=args.max_hole,
        thin=args.thin,
        grow=args.grow,
        feather=args.feather,
        tile=args.tile,
        overlap=args.overlap,
    )
    report = batch.Report(args.out, "inpaint")
    counts = batch.run(jobs, report, inpainter, inpainter.settings, args.force)
    _tell(counts, inpainter.stage)
    most = inpainter.stage.task.max_size if inpainter.stage else 0
    kinds = {
        f"holes beyond training, thicker than {most} pixels": inpainter.guessed,
        f"holes thicker than {args.max_hole} pixels, left as they are": inpainter.left,
    }
    for kind, counter in kinds.items():
        if total := counter.total():
            number = len(+counter)
            print(f"{kind}: {total} in {number} photos; see {report.path}", file=sys.stderr)
    return 1 if counts[batch.FAILED] else 0


def _tell(counts, stage) -> None:
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    shapes = f"; programs for {len(stage.compiled)} shapes of tile" if stage else ""
    print(told + shapes, file=sys.stderr)


def _evaluate_segment(args) -> int:
    from oldphoto_jax.restore import evaluate, stage
    from oldphoto_jax.tasks.segment import Segment

    stage.keep_compiled()
    weights = args.weights or ([] if args.method else [None])
    exam = evaluate.Exam(**_exam(args))
    methods = [
        evaluate.network(str(path or DETECTOR), stage.load(path, DETECTOR, Segment), args.tta)
        for path in weights
    ]
    methods += [evaluate.METHODS[name] for name in args.method]
    result = evaluate.evaluate(exam, methods)
    return _show(result, evaluate.table(result), args.json)


def _evaluate_inpaint(args) -> int:
    from oldphoto_jax.restore import evaluate_inpaint as evaluate
    from oldphoto_jax.restore import hole_figures, inpaint, stage
    from oldphoto_jax.tasks.inpaint import Inpaint
    from oldphoto_jax.weights.store import WeightsError

    stage.keep_compiled()
    chosen = dict.fromkeys(args.method or FILLERS)
    trained = [name for name in chosen if name in inpaint.TRAINED]
    if args.weights and not trained:
        raise ValueError(f"--weights: {', '.join(chosen)} take none")
    exam = evaluate.Exam(**_exam(args), max_size=args.max_size, large=args.large)
    methods = []
    for path in args.weights or ([None] if trained else []):
        loaded = stage.load(path, INPAINTER, Inpaint)
        methods += [evaluate.candidate(name, loaded, str(path or INPAINTER)) for name in trained]
    methods += [evaluate.candidate(name) for name in chosen if name not in trained]
    try:
        perception = evaluate.lpips(args.lpips or "alex")
    except WeightsError as error:
        if args.lpips:
            raise
        perception = None
        print(f"oldphoto: LPIPS stays blank. {error}", file=sys.stderr)
    result = evaluate.evaluate(exam, methods, perception)
    return _show(result, hole_figures.table(result), args.json)


def _exam(args) -> dict:
    from oldphoto_jax.data import sources

    photos = sources.open_photos(args.photos)
    return {"photos": photos} | {
        name: getattr(args, name) for name in ("textures", "count", "size", "seed")
    }


def _show(result, table, file) -> int:
    print(table)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _info(args) -> int:
    from oldphoto_jax.restore.about import about

    facts = about()
    if args.json:
        print(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            print(f"{name:24} {value if isinstance(value, str) else json.dumps(value)}")
    return 0


def _meant_for_users(error: BaseException) -> bool:
    """Whether the message is ours or the system's; other errors are bugs and keep their trace."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    ours = trace.tb_frame.f_globals.get("__name__", "").startswith("oldphoto_jax")
    return ours or isinstance(error, OSError)


if __name__ == "__main__":
    sys.exit(main())
