"""The whole life of a photo: taken, printed, aged, damaged, scanned."""

import dataclasses
from typing import Any

import cv2
import numpy as np

from oldphoto_jax.damage import fading, lookalikes, sprites
from oldphoto_jax.damage.blend import hold, roughness
from oldphoto_jax.damage.defects import KINDS, Kind
from oldphoto_jax.damage.inks import choose_inks, choose_lid
from oldphoto_jax.damage.layers import Layers
from oldphoto_jax.damage.scan import scan

SPRITE_LOOKS = {  # by a word in the name of the folder; other folders look like dust
    "stain": "stain",
    "scratch": "scratch",
    "crack": "paper",
    "crease": "paper",
    "smut": "dirt",
    "dirt": "dirt",
    "dot": "dirt",
    "spot": "crack",
}
SPRITES_BROAD = ("stain", "smut", "dot", "spot")  # words in the names of folders of large ones
SPRITE_WEIGHT = 40.0  # of all texture folders together; the drawn kinds weigh 155
LARGEST_AREA = 0.22  # share of the photo; of broad defects LARGEST_BROAD
LARGEST_BROAD = 0.35
ATTEMPTS = 12

# What a finder has to see beside what `Damage` draws by default, which is what a filler may mend.
EVERYTHING: dict[str, Any] = {
    "obvious": 0.45,
    "negative": 0.5,
    "inverted": 0.03,
    "margin": 0.12,
    "max_size": 192,
}


@dataclasses.dataclass(kw_only=True)
class Damage:
    """Makes an old photo of a good one, and says where it is damaged.

    Order: look-alikes into the scene, gray, contrast, ageing of film and print, defects, scan. What
    a scan does, its margin included, is done to photo and target alike.
    """

    max_size: int = 64
    """Largest thickness of the mask in pixels: the diameter of the largest disc inside it."""
    amount: float = 1.0
    """Multiplies the damaged area; at 1 mostly 0.2 to 6 % of the photo, at times 20 %.

    Defects of the share `obvious` come beside, as large as they are."""
    clean: float = 0.12
    """Share of photos without any defect."""
    obvious: float = 0.0
    """Share of the damaged photos that get one to three broad, plain defects first."""
    negative: float = 0.0
    """Share of photos damaged as negatives; at 0.5 dark defects are as common as light ones."""
    inverted: float = 0.0
    """Share of photos that are negatives as a whole."""
    margin: float = 0.0
    """Share of photos with a margin of the scanner's lid around the print; it is no damage."""
    lookalikes: float = 0.35
    """Share of photos that get things which only look like defects."""
    gray: float = 0.7
    """Share of photos turned gray (and perhaps toned)."""
    emulsion: float = 0.0
    """Share of gray photos taken on emulsions that hardly see red."""
    hard: float = 0.0
    """Share of photos with burnt-out lights and blocked shadows, as leaves before a white sky."""
    ageing: float = 0.85
    """Share of photos that fade, blur, grain and bend."""
    scan: float = 0.6
    """Share of photos that get blur, noise and JPEG of a scan on top."""
    textures: str = ""
    """A folder of damage shapes, see `sprites.Textures`; none if empty."""
    exclude: tuple[str, ...] = ()
    """Kinds or families of textures never drawn."""
    only: tuple[str, ...] = ()
    """Kinds or families drawn alone, all if empty; paper grain is ageing, and stays."""
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """Multiplies how often a kind is drawn: {"crease": 2.0}."""

    def __call__(self, photo: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Ages and damages photo [H,W,3], uint8 or float 0..1.

        Returns `photo` [H,W,3] float32 0..1, `mask` [H,W,1] float32 0 or 1, and `target`
        [H,W,3], the aged photo without defects. Where the mask is 0 photo and target differ by
        at most `blend.VISIBLE`. Same photo and generator state, same bytes.
        Raises ValueError for a photo of another shape and for impossible settings.
        """
        kinds = self.check()
        scene = _as_float(photo)
        if rng.random() < self.lookalikes:
            scene = lookalikes.among(scene, rng)
        gray = bool(rng.random() < self.gray)
        if gray:
            old = self.emulsion and rng.random() < self.emulsion
            scene = fading.emulsion(scene, rng) if old else fading.desaturate(scene)
        if self.hard and rng.random() < self.hard:
            scene = fading.harden(scene, rng)
        aged = bool(rng.random() < self.ageing)
        if aged:
            scene = self._age(scene, rng, gray)
        if rng.random() < self.inverted:
            scene = 1 - scene
        target = np.clip(scene, 0, 1, dtype=np.float32)
        if rng.random() < self.margin:
            damaged, mask, target = self._on_lid(target, kinds, rng, aged)
        else:
            damaged, mask, target = self._damage(target, kinds, rng, aged, choose_lid(rng))
        if rng.random() < self.scan:
            damaged, mask, target = scan(damaged, mask, target, self.max_size, rng)
        return {"photo": damaged, "mask": mask[..., None].astype(np.float32), "target": target}

    def check(self) -> dict[str, Kind]:
        """The kinds it draws; raises ValueError for impossible settings and missing textures."""
        kinds = self.kinds()
        self._check(kinds)
        return kinds

    def kinds(self) -> dict[str, Kind]:
        """Every kind this recipe draws, those of the texture folder included, by name."""
        known = dict(KINDS)
        if self.textures:
            folder = sprites.load(self.textures, tuple(self.exclude))
            for name in folder.shapes:
                words = [look for word, look in SPRITE_LOOKS.items() if word in name.split("/")[-1]]
                weight = SPRITE_WEIGHT / len(folder.shapes)
                broad = any(word in name.split("/")[-1] for word in SPRITES_BROAD)
                look = [*words, "dust"][0]
                known[name] = Kind(_Sprite(folder, name), look, weight, broad=broad)
        kept = {k: v for k, v in known.items() if self._draws(k)}
        for name in self.weights.keys() & kept.keys():
            weight = kept[name].weight * self.weights[name]
            kept[name] = dataclasses.replace(kept[name], weight=weight)
        return kept

    def _draws(self, name: str) -> bool:
        chosen = not self.only or sprites.within(name, self.only)
        return chosen and not sprites.within(name, self.exclude)

    def _age(self, photo: np.ndarray, rng: np.random.Generator, gray: bool) -> np.ndarray:
        photo = fading.age(photo, rng, gray)
        if self.textures and rng.random() < 0.35:
            folder = sprites.load(self.textures, tuple(self.exclude))
            if folder.grains:
                paper = folder.grain(photo.shape[:2], rng) * np.float32(rng.uniform(0.5, 1.5))
                photo = np.clip(photo + cv2.cvtColor(paper, cv2.COLOR_GRAY2RGB), 0, 1)
        return photo

    def _on_lid(
        self,
        photo: np.ndarray,
        kinds: dict[str, Kind],
        rng: np.random.Generator,
        relief: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`_damage` of the part of the photo that the print fills; around it lies the lid.

        A corner that is missing shows the lid as well, and is a defect all the same.
        """
        lid, (height, width) = choose_lid(rng), photo.shape[:2]
        sides = rng.uniform(0.01, 0.16, 4) * (rng.random(4) < 0.6)
        top, bottom, left, right = (sides * [height, height, width, width]).astype(int)
        inside = slice(top, height - bottom), slice(left, width - right)
        around = np.full_like(photo, lid)
        around += np.float32(rng.uniform(0, 0.015)) * fading.white(photo.shape[:2], rng)[..., None]
        around = np.clip(around, 0, 1)
        damaged, target, mask = around.copy(), around, np.zeros(photo.shape[:2], bool)
        part = np.ascontiguousarray(photo[inside])
        damaged[inside], mask[inside], target[inside] = self._damage(part, kinds, rng, relief, lid)
        return damaged, mask, target

    def _damage(
        self,
        photo: np.ndarray,
        kinds: dict[str, Kind],
        rng: np.random.Generator,
        relief: bool,
        lid: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lays all defects on the photo; returns damaged, mask, undamaged."""
        none = photo, np.zeros(photo.shape[:2], bool), photo
        if rng.random() < self.clean:
            return none
        negative, positive = rng.random() < self.negative, photo
        if negative:
            photo = 1 - photo
            none = photo, none[1], photo
        # What stains a negative blue was brown; on most negatives there is gray dirt alone
        tinted = not negative or bool(rng.random() < 0.2)
        inks = choose_inks(photo, rng, 1 - lid if negative else lid, tinted)
        layers = Layers(*none, inks, roughness(photo), relief, self.max_size)
        broad = {name: kind for name, kind in kinds.items() if kind.broad and kind.weight}
        if rng.random() < self.obvious and broad and not self.only:
            names = _chosen(broad, int(rng.integers(1, 4)), rng)
            layers.lay([broad[name] for name in names], len(names), 1.0, LARGEST_BROAD, rng)
        if not layers.mask.any() or rng.random() < 0.7:
            # A photo has few kinds of damage and several pieces of each, as one life leaves them.
            names = _chosen(kinds, 1 + min(int(rng.poisson(2.0)), 5), rng)
            area = self.amount * np.exp(rng.normal(np.log(0.018), 1.0))
            area = float(np.clip(area, 0.002, LARGEST_AREA))
            enough, before = 0.6 * area, layers.mask.mean()
            most = before + min(max(2 * area, 0.025), LARGEST_AREA)
            few = [kinds[name] for name in names]
            layers.lay(few, ATTEMPTS, before + enough, most, rng)
        damaged, target = hold(layers.damaged, layers.target, layers.mask), layers.target
        if negative:  # rounding must change no pixel that no defect has changed
            damaged, target = (
                np.where(made == photo, positive, 1 - made) for made in (damaged, target)
            )
        return damaged, layers.mask, target

    def _check(self, kinds: dict[str, Kind]) -> None:
        shares = ("clean", "obvious", "negative", "inverted", "margin", "emulsion", "hard")
        for name in (*shares, "lookalikes", "gray", "ageing", "scan"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"damage: {name}={getattr(self, name)} is a share; give 0 to 1")
        if self.max_size < 8:
            raise ValueError(
                f"damage: max_size={self.max_size} pixels leaves no room; give 8 or more"
            )
        if self.amount <= 0:
            raise ValueError(
                f"damage: amount={self.amount}; for photos without defects set clean=1"
            )
        known = set(KINDS)
        if self.textures:
            known |= set(sprites.load(self.textures, tuple(self.exclude)).names)
        families = {"/".join(k.split("/")[: i + 1]) for k in known for i in range(k.count("/") + 1)}
        for name in (*self.exclude, *self.only, *self.weights):
            if name not in families:
                raise ValueError(
                    f"damage: no kind {name!r}; there are {', '.join(sorted(families))}"
                )
        for name in self.only:
            if sprites.within(name, self.exclude):
                raise ValueError(
                    f"damage: {name!r} is in only, and exclude={list(self.exclude)} forbids it; "
                    "name it in one of them"
                )
        if sum(kind.weight for kind in kinds.values()) <= 0 and self.clean < 1:
            raise ValueError(
                "damage: no kind is left to draw; exclude fewer, name others in only, "
                "or set clean=1"
            )


def _chosen(kinds: dict[str, Kind], count: int, rng: np.random.Generator) -> list[str]:
    weights = np.array([kind.weight for kind in kinds.values()])
    return list(rng.choice(list(kinds), count, p=weights / weights.sum()))


@dataclasses.dataclass(frozen=True)
class _Sprite:
    """Draws one kind of a texture folder; a class, because it has to pickle."""

    folder: sprites.Textures
    name: str

    def __call__(
        self, shape: tuple[int, int], rng: np.random.Generator, max_size: int
    ) -> np.ndarray:
        return self.folder.draw(self.name, shape, rng, max_size)


def _as_float(photo: np.ndarray) -> np.ndarray:
    if photo.ndim != 3 or photo.shape[2] != 3 or min(photo.shape[:2]) < 16:
        raise ValueError(
            f"damage: photo of shape {photo.shape}; give [H,W,3] with sides of 16 or more"
        )
    if photo.dtype == np.uint8:
        return photo.astype(np.float32) / 255
    if not np.issubdtype(photo.dtype, np.floating):
        raise ValueError(f"damage: photo of type {photo.dtype}; give uint8 or float in 0..1")
    return photo.astype(np.float32)
