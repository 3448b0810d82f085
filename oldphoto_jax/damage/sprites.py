"""Shapes of real damage from a folder of the user's: sprites, defect masks, paper grain."""

import functools
import warnings
from pathlib import Path

import cv2
import numpy as np

from oldphoto_jax.damage.blend import thickness

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


class Textures:
    """Every folder of pictures below `folder` is a kind, named by its path, as "film/hair".

    What a folder holds is read off its first picture. Mid-gray without alpha: paper grain, 128
    is neutral. Alpha channel, or pale on black (or black on white): shapes of defects.
    Pictures are read when first drawn and kept per process; the object itself pickles small.
    Raises ValueError if no picture can be used. Warns once, with names, of files it cannot use.
    """

    def __init__(self, folder: str | Path, exclude: tuple[str, ...] = ()):
        root = Path(folder)
        if not root.is_dir():
            raise ValueError(f"textures: {root} is not a folder; give one with pictures of damage")
        self.shapes: dict[str, tuple[str, ...]] = {}
        self.grains: dict[str, tuple[str, ...]] = {}
        self.names: tuple[str, ...] = ()
        unusable = []
        for name, paths in _by_folder(root).items():
            good = [path for path in paths if _is_picture(path)]
            unusable += sorted(set(paths) - set(good))
            if good:
                self.names += (name,)
                if not within(name, exclude):
                    shelf = self.grains if _is_grain(good[0]) else self.shapes
                    shelf[name] = tuple(good)
        if unusable:
            shown = ", ".join(unusable[:10]) + (", ..." if len(unusable) > 10 else "")
            warnings.warn(f"{len(unusable)} unusable files in {root}: {shown}", stacklevel=2)
        if not self.names:
            raise ValueError(
                f"textures: no picture in {root} or below; put pictures ({', '.join(SUFFIXES)}) "
                "into one subfolder per kind of damage"
            )

    def draw(
        self, kind: str, shape: tuple[int, int], rng: np.random.Generator, max_size: int
    ) -> np.ndarray:
        """One to four shapes, turned, mirrored and scaled: alpha [H,W] float32 in 0..1."""
        alpha = np.zeros(shape, np.float32)
        paths = self.shapes[kind]
        for _ in range(int(rng.integers(1, 5))):
            source = _shape(paths[rng.integers(len(paths))])
            np.maximum(alpha, _place(source, shape, rng, max_size), out=alpha)
        return alpha

    def grain(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A piece of paper grain [H,W] around 0, without outliers, mirrored to fill the shape."""
        paths = [path for kind in self.grains.values() for path in kind]
        source = _picture(paths[rng.integers(len(paths))])[..., 0]
        patch = source.astype(np.float32) / 255
        patch -= cv2.GaussianBlur(patch, (0, 0), 6)  # only grain: no slope, no object
        most = 4 * float(np.median(np.abs(patch))) + 1 / 255
        patch = np.rot90(np.clip(patch, -most, most), rng.integers(4))
        patch = patch[:, :: rng.choice([-1, 1])]
        mirrored = np.block([[patch, patch[:, ::-1]], [patch[::-1], patch[::-1, ::-1]]])
        times = [-(-want // have) + 1 for want, have in zip(shape, mirrored.shape, strict=True)]
        tiled = np.tile(mirrored, times)
        top, left = (rng.integers(have) for have in mirrored.shape)
        return tiled[top : top + shape[0], left : left + shape[1]]


@functools.lru_cache(maxsize=8)
def load(folder: str, exclude: tuple[str, ...]) -> Textures:
    """The textures of a folder, listed once per process."""
    return Textures(folder, exclude)


def within(name: str, families: tuple[str, ...]) -> bool:
    """Whether a kind is one of these, or in one of these families (leading parts of its path)."""
    return any(name == family or name.startswith(family + "/") for family in families)


def _by_folder(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.parent.relative_to(root).as_posix()
            found.setdefault(root.name if name == "." else name, []).append(str(path))
    return found


def _is_picture(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) and cv2.haveImageReader(path)


@functools.lru_cache(maxsize=2048)
def _picture(path: str) -> np.ndarray:
    """The picture as [H,W,C] uint8; palettes come as their colours."""
    decoded = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError(f"textures: {path} cannot be decoded; repair the file or remove it")
    picture: np.ndarray = decoded
    if picture.dtype != np.uint8:
        picture = (picture.astype(np.float32) * (255 / np.iinfo(picture.dtype).max)).astype(
            np.uint8
        )
    return picture if picture.ndim == 3 else picture[..., None]


def _is_grain(path: str) -> bool:
    picture = _picture(path)
    return picture.shape[2] != 4 and abs(float(np.median(picture)) - 128) < 24


@functools.lru_cache(maxsize=2048)
def _shape(path: str) -> np.ndarray:
    """The defect as [H,W] uint8, 0 outside, cropped to what is there."""
    picture = _picture(path)
    shape = picture[..., 3] if picture.shape[2] == 4 else picture.max(axis=2)
    border = np.concatenate([shape[0], shape[-1], shape[:, 0], shape[:, -1]])
    if picture.shape[2] != 4 and np.median(border) > 127:
        shape = 255 - shape
    left, top, width, height = cv2.boundingRect(shape)
    if width == 0:
        raise ValueError(f"textures: {path} is empty; remove it, or draw the defect pale on black")
    return np.ascontiguousarray(shape[top : top + height, left : left + width])


def _place(
    source: np.ndarray, shape: tuple[int, int], rng: np.random.Generator, max_size: int
) -> np.ndarray:
    side = min(shape)
    long = max(source.shape)
    if long > 700 or rng.random() < 0.4:
        scale = rng.uniform(0.4, 1.3)  # near the size it was scanned at
    else:
        scale = np.exp(rng.uniform(np.log(0.12), np.log(1.2))) * side / long
    window = int(1.5 * max(shape) / scale) + 1
    top, left = (int(rng.integers(max(size - window, 0) + 1)) for size in source.shape)
    piece = source[top : top + window, left : left + window]
    center, angle = rng.uniform(0, 1, 2) * shape[::-1], rng.uniform(0, 360)
    if max(piece.shape) == window:  # a cut-out of a large mask covers the whole photo
        center = np.array(shape[::-1]) / 2
    mirror = rng.random() < 0.5
    alpha = _warp(piece, shape, scale, angle, center, mirror)
    thick = thickness(alpha > 0.25)
    if thick > 0.8 * max_size:
        alpha = _warp(piece, shape, scale * 0.7 * max_size / thick, angle, center, mirror)
    return alpha


def _warp(
    piece: np.ndarray,
    shape: tuple[int, int],
    scale: float,
    angle: float,
    center: np.ndarray,
    mirror: bool,
) -> np.ndarray:
    if mirror:
        piece = piece[:, ::-1]
    if scale < 0.8:  # shrink first by area: the warp itself would skip pixels
        size = [max(round(side * scale), 1) for side in piece.shape]
        piece = cv2.resize(piece, size[::-1], interpolation=cv2.INTER_AREA)
        scale = 1.0
    middle = (piece.shape[1] / 2, piece.shape[0] / 2)
    move = cv2.getRotationMatrix2D(middle, angle, scale)
    move[:, 2] += center - np.array(middle)
    warped = cv2.warpAffine(np.ascontiguousarray(piece), move, shape[::-1])
    return warped.astype(np.float32) / 255
