"""A worker that falls ill at photos of certain names, as decoders do at what is in them."""

import ctypes
import os
import pathlib
import time

from oldphoto_jax.photo.codecs import tiff_strips
from oldphoto_jax.photo.disk import files, worker


def greedy():
    return bytearray(1 << 40)


def faulty():
    raise AssertionError("a fault of the code")


ILLS = {
    "segv": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(7),
    "hang": lambda: time.sleep(60),
    "greedy": greedy,
    "faulty": faulty,
}


def main():
    read = files.read

    def ill(path, *more):
        os.write(2, b"[ WARN:0@0.1] global grfmt.cpp:1 readHeader a strange tag\n" * 3)
        name = pathlib.Path(path).stem
        if name in ILLS:
            ILLS[name]()
        return read(path, *more)

    files.read, tiff_strips.MAPPED = ill, 1
    worker.main()
