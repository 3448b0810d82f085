"""`oldphoto evaluate`: methods side by side on damage whose truth is known."""

from __future__ import annotations

import json
import pathlib
import sys

from oldphoto_jax.commands import options


def add(commands, shared) -> None:
    """The command's part of the command line."""
    text = "measure methods on photos that a seeded generator damages, all of them on the same"
    evaluate = commands.add_parser("evaluate", help=text, description=text)
    tasks = evaluate.add_subparsers(required=True, metavar="TASK")
    text = "how well defects are found"
    segment = tasks.add_parser("segment", parents=[shared], help=text, description=text)
    _add_exam(segment)
    add = segment.add_argument
    add("--method", action="append", default=[], choices=["tophat"], help="beside, or instead of")
    add("--tta", action="store_true", help="average over mirror images")
    segment.set_defaults(command=_segment)
    text = "how well holes are filled, by their width and by how many there are"
    inpaint = tasks.add_parser("inpaint", parents=[shared], help=text, description=text)
    _add_exam(inpaint)
    add = inpaint.add_argument
    add(
        "--method",
        action="append",
        choices=options.FILLERS,
        help="may be given several times (all)",
    )
    most = "thickness of the largest holes (%(default)s)"
    add("--max-size", type=int, default=64, metavar="PX", help=most)
    large = "share of photos that get a large hole (%(default)s)"
    add("--large", type=float, default=0.15, metavar="SHARE", help=large)
    add("--lpips", choices=["alex", "vgg"], help="network of LPIPS (alex, where it is installed)")
    inpaint.set_defaults(command=_inpaint)


def _add_exam(task) -> None:
    add = task.add_argument
    options.add_weights(task, action="append", default=[], help="may be given several times")
    add("--photos", default="samples:val", metavar="WHERE", help="samples, FOLDER or LIST.txt")
    add("--textures", type=pathlib.Path, metavar="DIR", help="scans of damage to mix in")
    add("--count", type=int, metavar="N", help="how many crops (one of each photo)")
    add("--size", type=int, default=384, metavar="PX", help="side of a crop (%(default)s)")
    add("--seed", type=int, default=0, help="another seed damages otherwise (%(default)s)")
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the figures there")


def _segment(args) -> int:
    from oldphoto_jax.restore import evaluate, stage
    from oldphoto_jax.tasks.segment import Segment

    stage.keep_compiled()
    weights = args.weights or ([] if args.method else [None])
    exam = evaluate.Exam(**_exam(args))
    methods = [
        evaluate.network(
            str(path or options.DETECTOR), stage.load(path, options.DETECTOR, Segment), args.tta
        )
        for path in weights
    ]
    methods += [evaluate.METHODS[name] for name in args.method]
    result = evaluate.evaluate(exam, methods)
    return _show(result, evaluate.table(result), args.json)


def _inpaint(args) -> int:
    from oldphoto_jax.restore import evaluate_inpaint as evaluate
    from oldphoto_jax.restore import hole_figures, inpaint, stage
    from oldphoto_jax.tasks.inpaint import Inpaint
    from oldphoto_jax.weights.store import WeightsError

    stage.keep_compiled()
    chosen = dict.fromkeys(args.method or options.FILLERS)
    trained = [name for name in chosen if name in inpaint.TRAINED]
    if args.weights and not trained:
        raise ValueError(f"--weights: {', '.join(chosen)} take none")
    exam = evaluate.Exam(**_exam(args), max_size=args.max_size, large=args.large)
    methods = []
    for path in args.weights or ([None] if trained else []):
        loaded = stage.load(path, options.INPAINTER, Inpaint)
        methods += [
            evaluate.candidate(name, loaded, str(path or options.INPAINTER)) for name in trained
        ]
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
