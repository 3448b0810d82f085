"""What the gradient of the published detector keeps of its forward pass, with and without remat.

    python -m experiments.speed.saved_residuals --size=1024 --width=64

Adds up JAX's own listing (`jax.ad_checkpoint.print_saved_residuals`) for one photo: what is made
on the way forward and kept for the way back; the weights, which are there anyway, are left out.
Nothing is computed, so that it costs no memory whatever the size.
"""

import argparse
import contextlib
import io
import json
import math
import re

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models import unet
from oldphoto_jax.tasks.segment import Segment

ITEM = re.compile(r"^(\w+?)(\d+)\[([\d,]*)\]")  # as in f32[1,64,64,8]


def kept(task: Segment, photos: int = 1) -> int:
    """Bytes that the gradient of `task` keeps for so many photos, beside weights and photos."""
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    graph, params, rest = nnx.split(nets["segmenter"], nnx.Param, ...)
    side = (photos, task.size, task.size)
    photo, mask = (jax.ShapeDtypeStruct((*side, c), jnp.float32) for c in (3, 1))

    def loss(params, rest, photo, mask):
        network = nnx.merge(graph, params, rest, copy=True)
        network.train()
        terms = task.agree({"segmenter": network}, {"photo": photo, "mask": mask})
        return sum(terms.values())

    listing = io.StringIO()
    with contextlib.redirect_stdout(listing):
        jax.ad_checkpoint.print_saved_residuals(loss, params, rest, photo, mask)
    made = [line for line in listing.getvalue().splitlines() if "from the argument" not in line]
    return sum(_bytes(line) for line in made)


def _bytes(line: str) -> int:
    found = ITEM.match(line)
    if not found:
        return 0
    _, bits, shape = found.groups()
    return int(bits) // 8 * math.prod(int(side) for side in shape.split(",") if side)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="side of a crop (%(default)s)")
    parser.add_argument("--width", type=int, default=64, help="of the network (%(default)s)")
    parser.add_argument("--norm", default="inplace", help="batch or inplace (%(default)s)")
    options = parser.parse_args(argv)
    for remat in (False, True):
        network = unet.Blueprint(width=options.width, norm=options.norm, remat=remat)
        task = Segment(size=options.size, network=network)
        told = {"remat": remat, "size": options.size, "width": options.width, "norm": options.norm}
        print(json.dumps(told | {"kept_gib": round(kept(task) / 2**30, 3)}))


if __name__ == "__main__":
    main()
