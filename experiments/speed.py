r"""How fast are the input pipeline and `oldphoto detect`, and how much memory does a scan take?

    python -m experiments.speed --photos=PHOTOS --textures=DIR --weights=WORKDIR_OR_FILE

PHOTOS is what a configuration takes: samples, a folder, a .txt list. The pipeline is that of
`configs/segment.py:lite`, on threads of one process. For detection the first photo is enlarged
to 1, 6 and 24 megapixels (3:2, JPEG) and each goes through a process of its own, as a user would
start it: seconds include start-up and compilation (`first`), or find the programs of the first
run in the compilation cache (`second`). Peak memory is the whole process's.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np

from configs import segment
from oldphoto_jax.data import loader, sources

MEGAPIXELS = {1: (816, 1224), 6: (2000, 3000), 24: (4000, 6000)}
PEAK = "import resource; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
DETECT = f"import sys; from oldphoto_jax import cli; status = cli.main(sys.argv[1:]); {PEAK}"


def pipeline(photos, textures: str, batches: int) -> float:
    """Training examples a second, without a network."""
    config = segment.get_config("lite")
    config.task.damage.textures = textures
    batch = config.batch_size
    options = dict(batch_size=batch, seed=0, threads=config.threads)
    with loader.loader(photos, config.task.example, **options) as stream:
        next(stream)
        start = time.perf_counter()
        for _ in range(batches):
            next(stream)
        return batches * batch / (time.perf_counter() - start)


def detect(photo: pathlib.Path, weights: str, cache: str) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of one `oldphoto detect`, in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", DETECT, "detect", str(photo), "--out", out]
        start = time.perf_counter()
        environment = os.environ | {"XDG_CACHE_HOME": cache}
        done = subprocess.run(
            [*command, "--weights", weights],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        seconds = time.perf_counter() - start
    return seconds, int(done.stdout.rpartition("PEAK")[2]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", default="samples")
    parser.add_argument("--textures", default="")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--batches", type=int, default=40)
    options = parser.parse_args()
    photos = sources.open_photos(options.photos)
    speed = pipeline(photos, options.textures, options.batches)
    print(json.dumps({"pipeline, examples/s": round(speed, 1), "cores": os.cpu_count()}))
    pixels = np.ascontiguousarray(photos[0]["photo"][..., ::-1])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        for megapixels, (height, width) in MEGAPIXELS.items():
            path = pathlib.Path(folder) / f"{megapixels}mp.jpg"
            cv2.imwrite(str(path), cv2.resize(pixels, (width, height)))
            first, _ = detect(path, options.weights, cache)
            second, peak = detect(path, options.weights, cache)
            row = {"megapixels": megapixels, "first": first, "second": second, "peak MiB": peak}
            print(json.dumps({name: round(value, 1) for name, value in row.items()}))


if __name__ == "__main__":
    main()
