"""Ageing without a shape: fading, toning, blur, grain, low resolution, compression, light.

Each operation is op(photo, rng) -> photo, [H,W,3] float32 in 0..1. Ranges follow the degradations
of Wan et al., 2020 (https://arxiv.org/abs/2004.09484), milder where a print would be unreadable.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.noise import field, white

LUMA = np.array([0.299, 0.587, 0.114])
EMULSIONS = ((0.04, 0.56, 0.40), (0.0, 0.15, 0.85))  # of red, green, blue: orthochromatic, older
TONES = {  # colour of the shadows, colour of the highlights
    "sepia": ((0.10, 0.05, 0.02), (1.00, 0.92, 0.74)),
    "brown": ((0.16, 0.08, 0.04), (0.97, 0.84, 0.66)),
    "yellow": ((0.12, 0.10, 0.05), (1.00, 0.96, 0.72)),
    "olive": ((0.08, 0.06, 0.01), (0.88, 0.78, 0.52)),
    "selenium": ((0.10, 0.06, 0.09), (0.98, 0.93, 0.95)),
    "green": ((0.03, 0.07, 0.05), (0.88, 0.96, 0.90)),
    "blue": ((0.03, 0.05, 0.10), (0.92, 0.96, 1.00)),
}


def luma(photo: np.ndarray) -> np.ndarray:
    """The sRGB-encoded luma [H,W] of a photo [H,W,3]."""
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def desaturate(photo: np.ndarray) -> np.ndarray:
    """The photo in gray, still with three channels."""
    return cv2.cvtColor(luma(photo), cv2.COLOR_GRAY2RGB)


def emulsion(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photo in gray, still with three channels, as an old emulsion saw its colours.

    Some see blue alone, later ones green too: skies burn out, leaves and lips are dark.
    """
    blind = np.array(EMULSIONS[rng.integers(len(EMULSIONS))])
    share = rng.uniform(0.3, 1.0)
    gray = photo @ np.float32(share * blind + (1 - share) * LUMA)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def harden(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """More contrast than the paper takes: up to a sixth of the photo black, a third white."""
    few = luma(photo)[::4, ::4]
    black, white_point = np.quantile(few, [rng.uniform(0, 0.16), 1 - rng.uniform(0, 0.33)])
    gain = 1 / max(float(white_point - black), 0.2)
    return np.clip((photo - np.float32(black)) * np.float32(gain), 0, 1)


def fade(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lifts blacks, lowers whites, bends the middle tones."""
    black, white_point = rng.uniform(0, 0.25), rng.uniform(0.7, 1.0)
    faded: np.ndarray = cv2.pow(photo, float(np.exp(rng.normal(0, 0.25))))
    faded *= np.float32(white_point - black)
    faded += np.float32(black)
    return faded


def tone(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paints luma between a shadow and a highlight colour: sepia, selenium, yellowed paper..."""
    name = rng.choice(np.array(list(TONES)), p=(0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05))
    shadow, highlight = (np.array(color) for color in TONES[name])
    share = rng.uniform(0.3, 1.0)
    gain = 1 - share + share * (highlight - shadow) * rng.uniform(0.9, 1.0)
    return _mixed(photo, gain[:, None] * LUMA, share * shadow)


def shift(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Aged colour film: dyes fade unevenly, colours grow weak and lean to red or yellow."""
    strength = rng.uniform(0.3, 1.0)
    gain = rng.uniform([0.92, 0.8, 0.65], [1.08, 1.0, 1.0])
    weak = strength * np.eye(3) + (1 - strength) * LUMA
    return _mixed(photo, gain[:, None] * weak, np.zeros(3))


def soften(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur of a soft lens."""
    sigma = np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
    return cv2.GaussianBlur(photo, (0, 0), sigma)


def shake(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slight motion blur along one direction."""
    size = int(rng.choice([3, 5, 7]))
    kernel = np.zeros((size, size), np.float32)
    angle, middle = rng.uniform(0, np.pi), size // 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(round(middle + s * r)) for r in reach) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(photo, -1, kernel / kernel.sum())


def grain(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Film grain: clumped noise, strongest in the middle tones, one pattern for all channels."""
    clump = rng.uniform(0, 1.3)
    noise = white(photo.shape[:2], rng)
    if clump > 0.35:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), clump))
        noise /= max(float(noise.std()), 1e-6)
    brightness = luma(photo)
    amount = np.float32(np.exp(rng.uniform(np.log(0.008), np.log(0.07))))
    return _add(photo, noise * (amount * (0.35 + 2.6 * brightness * (1 - brightness))))


def gaussian(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent noise in every channel."""
    return np.clip(photo + white(photo.shape, rng) * np.float32(rng.uniform(0.008, 0.06)), 0, 1)


def speckle(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise in proportion to brightness."""
    noise = white(photo.shape[:2], rng) * np.float32(rng.uniform(0.02, 0.15))
    return _add(photo, noise * luma(photo))


def pepper(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Salt and pepper: single dead pixels, per channel as a bad sensor makes them."""
    coin = rng.random(photo.shape, dtype=np.float32)
    amount, salt = rng.uniform(0, 0.005), rng.uniform(0.3, 0.8)
    salted = np.where(coin < amount * salt, np.float32(1), photo)
    return np.where(coin > 1 - amount * (1 - salt), np.float32(0), salted)


def shrink(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small old scan, enlarged: down to between half and full size, and up again."""
    height, width = photo.shape[:2]
    factor = rng.uniform(0.5, 0.95)
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    down = cv2.resize(photo, small, interpolation=cv2.INTER_AREA)
    way = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[rng.choice(3, p=(0.5, 0.45, 0.05))]
    return np.clip(cv2.resize(down, (width, height), interpolation=way), 0, 1)


def jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    """The photo after JPEG at the given quality."""
    pixels = cv2.cvtColor((photo * 255 + 0.5).astype(np.uint8), cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    if decoded is None:
        raise RuntimeError(f"OpenCV cannot read the JPEG that it made of {photo.shape} pixels")
    pixels = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return pixels * np.float32(1 / 255)


def compress(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG at quality 40 to 95."""
    return jpeg(photo, int(rng.integers(40, 96)))


def light(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light: dark or bleached borders, a slope, cloudy patches, yellowed edges."""
    x = np.linspace(-1, 1, 32, dtype=np.float32)  # light changes slowly: 32x32 says it all
    border = np.maximum((x[None] ** 2 + x[:, None] ** 2) / 2 - rng.uniform(0, 0.3), 0)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x[None] + np.sin(angle) * x[:, None]
    weights = rng.normal(0, (0.25, 0.06, 0.03))
    gain = 1 + weights[0] * border + weights[1] * slope + weights[2] * field((32, 32), rng, 12)
    age = rng.uniform(0.1, 0.6) if rng.random() < 0.3 else 0.0
    yellow = 1 - age * np.clip(1.5 * border, 0, 1)[..., None] * (1 - np.array([1.0, 0.92, 0.7]))
    gain = (gain[..., None] * yellow).astype(np.float32)
    lit = photo * cv2.resize(gain, photo.shape[1::-1])
    return np.clip(lit, 0, 1, out=lit)


def _mixed(photo: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    mixed = cv2.transform(photo, np.column_stack([matrix, offset]).astype(np.float32))
    return np.clip(mixed, 0, 1, out=mixed)


def _add(photo: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Adds noise [H,W] to every channel."""
    noisy = cv2.add(photo, cv2.cvtColor(noise, cv2.COLOR_GRAY2RGB))
    return np.clip(noisy, 0, 1, out=noisy)


CAPTURE = ((soften, 0.35), (shake, 0.06), (shrink, 0.3), (speckle, 0.08), (compress, 0.2))
FILM = ((grain, 0.6), (gaussian, 0.08), (pepper, 0.02))
PRINT = ((fade, 0.6), (light, 0.45))


def age(photo: np.ndarray, rng: np.random.Generator, gray: bool) -> np.ndarray:
    """Lens and copy faults in random order, then film grain, then what years do to the print."""
    capture = [CAPTURE[i] for i in rng.permutation(len(CAPTURE))]
    color = ((tone, 0.5),) if gray else ((shift, 0.6), (tone, 0.05))
    for operation, share in (*capture, *FILM, *PRINT, *color):
        if rng.random() < share:
            photo = operation(photo, rng)
    return np.clip(photo, 0, 1, dtype=np.float32)
