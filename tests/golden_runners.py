"""How each golden fixture is run: RUNNERS maps its name to (state, inputs, notes) -> outputs.

State dicts, inputs and outputs keep the original layout (OIHW, NCHW); a runner converts. All sizes
and counts come from the fixture, so that another of the same name and other sizes runs as well.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import attention, gated, norm, partial, spectral
from oldphoto_jax.losses import adversarial, balance, bins, feature, pixel
from oldphoto_jax.losses import mask as mask_losses
from oldphoto_jax.metrics import color as color_metrics
from oldphoto_jax.metrics import frechet, perceptual, ranking
from oldphoto_jax.metrics import image as image_metrics
from oldphoto_jax.metrics import mask as mask_metrics
from oldphoto_jax.models import (
    alexnet,
    discriminators,
    efficientnet,
    partial_unet,
    resnet,
    unet,
    vgg,
)
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import critics, torch

RUNNERS: dict[str, Callable] = {}


def runs(*names: str):
    """Registers a function as the runner of the named fixtures."""

    def keep(function):
        RUNNERS.update(dict.fromkeys(names, function))
        return function

    return keep


def nhwc(array):
    """A batch of PyTorch's layout in ours; anything else as it is."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def nchw(array):
    """The way back."""
    array = np.asarray(array)
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def noted(notes, words, default):
    """The number that follows these words (a pattern) in the fixture's own description."""
    found = re.search(rf"{words}\s*(\d*\.?\d+(?:e-?\d+)?)", notes["notes"])
    return float(found[1]) if found else default


def parts(notes, pattern):
    """What the groups of a pattern are in the names of all outputs that fit it."""
    found = (re.fullmatch(pattern, output) for output in notes["outputs"])
    return list(dict.fromkeys(match.groups() for match in found if match))


def geometry(kernel, size, made, *told):
    """Stride and padding of a convolution that maps sides `size` to `made`; `told` ones first."""
    strides, half = range(1, kernel + 1), (kernel - 1) // 2
    usual = [(stride, half) for stride in strides]
    for stride, pad in [*told, *usual, *itertools.product(strides, range(kernel))]:
        if all((n + 2 * pad - kernel) // stride + 1 == m for n, m in zip(size, made, strict=True)):
            return stride, pad
    raise ValueError(f"no convolution of kernel {kernel} maps sides {size} to {made}")


def by_channel(array, c=1):
    """[N,H,W,C] as [N C,H,W,1]: a mask for each channel then is one for each photo."""
    array = jnp.broadcast_to(array, (*array.shape[:3], max(c, array.shape[-1])))
    return jnp.moveaxis(array, -1, 1).reshape(-1, *array.shape[1:3], 1)


def together(array, c):
    """The way back, to C channels."""
    return jnp.moveaxis(array.reshape(-1, c, *array.shape[1:3]), 1, -1)


def as_bytes(values):
    """Values 0..255 as the integers that Pillow makes of them."""
    return np.rint(np.clip(values, 0, 255)).astype(np.int32)


@runs("colour_spaces")
def run_colour_spaces(state, inputs, notes):
    outputs = {}
    centre = np.float32([0, 0.5, 0.5])  # Pillow's chroma has its middle at 128, ours at 127.5
    for name, given in inputs.items():
        if given.dtype != np.uint8:
            outputs[f"{name}_rgb"] = np.clip(color.lab_to_rgb(given), 0, 1)
            continue
        photo = image.to_float(given)
        ycbcr = 255 * color.rgb_to_ycbcr(photo) + centre
        back = 255 * color.ycbcr_to_rgb((np.float32(given) - centre) / 255)
        outputs |= {
            f"{name}_lab": color.rgb_to_lab(photo),
            f"{name}_ycbcr_float": ycbcr,
            f"{name}_ycbcr_pil": as_bytes(ycbcr),
            f"{name}_gray_pil": as_bytes(255 * color.rgb_to_gray(photo))[..., 0],
            f"{name}_back_pil": as_bytes(back),
            f"{name}_colourfulness": color_metrics.cf_hs2003(photo[None])[0],
        }
    return outputs


@runs("ab_bins")
def run_ab_bins(state, inputs, notes):
    logits, colours = nhwc(inputs["logits"]), inputs["ab"]
    whole = logits.shape[-1] != len(AbBins())  # else all squares of the plane
    palette = AbBins(whole=whole, sigma=noted(notes, r"exp\(-d\^2/\(2\*", 5))
    cold = noted(notes, r"softmax\(logits/", 0.38)
    outputs = {
        "centres": np.int32(palette.centres),
        "hard": palette.nearest(colours),
        "annealed_mean": nchw(palette.decode(logits, cold)),
        "mean": nchw(palette.decode(logits)),
        "mode": nchw(palette.mode(logits)),
        "rebalance_weights": balance.rebalanced(inputs["prior"], noted(notes, r" 1/\(", 0.5)),
    }
    for (count,) in parts(notes, r"soft_nn(\d+)"):
        soft = dataclasses.replace(palette, neighbours=int(count))
        outputs[f"soft_nn{count}"] = jax.jit(soft.encode)(colours)
    return outputs


@runs("losses")
def run_losses(state, inputs, notes):
    x = {name: nhwc(array) for name, array in inputs.items()}
    if x["bin_weight"].ndim == 3:
        x["bin_weight"] = x["bin_weight"][..., None]
    mask = by_channel(1 - x["mask"], x["out"].shape[-1])  # theirs is 1 where the photo is good
    weight = noted(notes, "pos_weight", 3.7)
    alpha, gamma = noted(notes, "focal_loss alpha", 0.25), noted(notes, r"alpha \S+ gamma", 2)
    without_alpha = noted(notes, "no alpha, gamma", 1.5)
    factor = 4 / (noted(notes, r"\* 4/\(", 3) + 1)  # the paper's 4 / (layers + 1); ours is 1

    def maps(x, side):
        found = sorted(re.fullmatch(r"fm_f(\d+)_(\d+)", name).groups() for name in fake)
        critics = itertools.groupby(found, lambda pair: pair[0])
        return [[x[f"fm_{side}{i}_{j}"] for i, j in pairs] for _, pairs in critics]

    fake = [name for name in x if name.startswith("fm_f")]
    cases = {
        "bce_pos_weight": lambda x: mask_losses.bce(x["logit"], x["target"], weight),
        "dice": lambda x: mask_losses.dice(x["logit"], x["target"]),
        "focal": lambda x: mask_losses.focal(x["logit"], x["target"], alpha, gamma),
        "focal_noalpha": lambda x: mask_losses.focal(x["logit"], x["target"], None, without_alpha),
        "hinge_d": lambda x: adversarial.judge_hinge(x["d_real"], x["d_fake"]),
        "hinge_g": lambda x: adversarial.fool_hinge(x["d_fake"]),
        "lsgan_d": lambda x: adversarial.judge_least_squares(x["d_real"], x["d_fake"]),
        "lsgan_g": lambda x: adversarial.fool_least_squares(x["d_fake"]),
        "bce_gan_g": lambda x: adversarial.fool_non_saturating(x["d_fake"]),
        "feature_matching": lambda x: factor * feature.feature_matching(maps(x, "f"), maps(x, "r")),
        "style": lambda x: feature.style(x["feat_a"], x["feat_b"]),
        "tv": lambda x: pixel.total_variation(x["out"]),
        "tv_composite": lambda x: pixel.total_variation(
            pixel.composite(by_channel(x["out"]), by_channel(x["gt"]), mask)
        ),
        "l1_hole": lambda x: pixel.l1_hole(by_channel(x["out"]), by_channel(x["gt"]), mask),
        "l1_valid": lambda x: pixel.l1_valid(by_channel(x["out"]), by_channel(x["gt"]), mask),
        "soft_ce": lambda x: bins.soft_cross_entropy(x["bin_logits"], x["bin_target"]),
        "soft_ce_weighted": lambda x: bins.soft_cross_entropy(
            x["bin_logits"], x["bin_target"], x["bin_weight"]
        ),
    }
    cases["bce_dice"] = lambda x: cases["bce_pos_weight"](x) + cases["dice"](x)
    outputs = {"gram": feature.gram(x["feat_a"])}
    solve = jax.jit(lambda x: {name: jax.value_and_grad(loss)(x) for name, loss in cases.items()})
    for name, (value, slopes) in solve(x).items():
        outputs[name] = value
        outputs |= {f"{name}_grad_{key}": nchw(slope) for key, slope in slopes.items()}
    return outputs


@runs("metrics")
def run_metrics(state, inputs, notes):
    a, b = inputs["a"][None], inputs["b"][None]
    gray = [255 * color.rgb_to_gray(image.to_float(array)) for array in (a, b)]
    label, score = (inputs[name].reshape(1, 1, -1, 1) for name in ("label", "score"))
    outputs = {
        "mse": image_metrics.mse(a, b)[0],
        "mae": image_metrics.mae(a, b)[0],
        "psnr": image_metrics.psnr(a, b, 255)[0],
        "ssim_uniform7": image_metrics.ssim(a, b, 255)[0],
        "ssim_gaussian": image_metrics.ssim(a, b, 255, "gaussian")[0],
        "ssim_gaussian_map": image_metrics.ssim_map(a, b, 255, "gaussian")[0],
        "ssim_gaussian_gray": image_metrics.ssim(*gray, 255, "gaussian")[0],
        "roc_auc": ranking.roc_auc(label, score),
        "average_precision": ranking.average_precision(label, score),
    }
    for measure, threshold in parts(notes, r"(iou|dice|precision|recall)_([\d.]+)"):
        function = getattr(mask_metrics, measure)
        outputs[f"{measure}_{threshold}"] = function(label, score, float(threshold))
    return outputs


@runs("fid_distance")
def run_fid_distance(state, inputs, notes):
    outputs = {}
    for start in [name.removesuffix("a") for name in inputs if name.endswith("a")]:
        a, b = inputs[f"{start}a"], inputs[f"{start}b"]
        one, other = frechet.Gaussian.of(a), frechet.Gaussian.of(b)
        outputs |= {
            f"{start}distance": frechet.distance(a, b),
            f"{start}trace_sqrt": frechet.trace_sqrt(one.covariance(), other.covariance()),
            f"{start}mean_term": np.square(one.mean() - other.mean()).sum(),
            f"{start}self": frechet.distance(a, a),
        }
    return outputs


def resnet_depth(state, start=""):
    """18, 34 or 50, from the blocks of the four stages."""
    keys = [key.removeprefix(f"{start}layer").split(".") for key in state if f"{start}layer" in key]
    counts = tuple(len({block for i, block, *_ in keys if i == stage}) for stage in "1234")
    wide = f"{start}layer1.0.conv3.weight" in state
    [depth] = [n for n, blocks in torch.BLOCKS.items() if (blocks, n == 50) == (counts, wide)]
    return depth


@runs("resnet18", "resnet34", "resnet50")
def run_resnet(state, inputs, notes):
    depth, (width, c_in) = resnet_depth(state), state["conv1.weight"].shape[:2]
    options = dict(width=width, c_in=c_in, classes=len(state["fc.bias"]))
    net = nnx.eval_shape(lambda: resnet.ResNet(depth, **options, rngs=nnx.Rngs(0)))
    names.fill(net, torch.resnet(state, depth))
    net.eval()
    x = nhwc(inputs["x"])
    logits, pooled, taps = nnx.jit(lambda net: (net(x), net.pooled(x), net.features(x)))(net)
    keys = ("stem", "layer1", "layer2", "layer3", "layer4")
    return dict(zip(keys, map(nchw, taps), strict=True)) | {"logits": logits, "pooled": pooled}


@runs("efficientnet_lite0")
def run_efficientnet_lite(state, inputs, notes):
    classes = len(state["_fc.bias"])
    net = nnx.eval_shape(lambda: efficientnet.EfficientNetLite(classes=classes, rngs=nnx.Rngs(0)))
    names.fill(net, torch.efficientnet_lite(state))
    net.eval()
    x = nhwc(inputs["x"])
    logits, taps = nnx.jit(lambda net: (net(x), net.features(x)))(net)
    ends = [f"_blocks.{i}" for i in (0, 2, 4, 10, 15)]  # the last blocks of the scales
    return dict(zip(ends, map(nchw, taps), strict=True)) | {"logits": logits}


@runs("albunet34", "albunet34_deconv")
def run_albunet(state, inputs, notes):
    x, depth = nhwc(inputs["x"]), resnet_depth(state, "encoder.")
    deconv = "center.block.2.conv.weight" not in state
    arrays = torch.albunet(state, depth, deconv=deconv)
    width, c_in = state["encoder.conv1.weight"].shape[:2]
    own = dict(c_out=len(state["final.bias"]), decoder_width=len(state["dec0.conv.bias"]))
    own |= dict(width=width, c_in=c_in, deconv=deconv)

    def run(**options):
        net = nnx.eval_shape(lambda: unet.AlbuNet(depth, rngs=nnx.Rngs(0), **own, **options))
        names.fill(net, arrays)
        net.eval()
        logits, taps = nnx.jit(lambda net: (net(x), net.encoder.features(x)))(net)
        return nchw(logits), {f"conv{i + 1}": nchw(taps[i]) for i in (1, 2, 3, 4)}

    logits, outputs = run()
    outputs["logits"] = logits
    if "logits_align_corners" in notes["outputs"]:
        outputs["logits_align_corners"], _ = run(align_corners=True)
    return outputs


@runs("inplace_abn")
def run_inplace_abn(state, inputs, notes):
    x, dz = (np.moveaxis(inputs[name], 1, -1) for name in ("x", "dz"))
    options = dict(slope=noted(notes, "leaky_relu", 0.01), momentum=noted(notes, "momentum", 0.1))
    outputs = {}

    def theirs(array):
        return np.moveaxis(array, -1, 1)

    for (activation,) in parts(notes, "(.+)_z"):
        layer = norm.InPlaceABN(len(state["weight"]), activation, **options)
        layer.scale[...], layer.bias[...] = state["weight"], state["bias"]
        layer.mean[...], layer.var[...] = state["running_mean"], state["running_var"]
        layer.eval()
        outputs[f"{activation}_eval"] = theirs(layer(x))
        layer.train()
        graph, params, statistics = nnx.split(layer, nnx.Param, ...)

        def forward(params, x, graph=graph, statistics=statistics):
            layer = nnx.merge(graph, params, statistics, copy=True)
            return layer(x), layer

        z, pull, layer = jax.vjp(forward, params, x, has_aux=True)
        dparams, dx = pull(dz)
        outputs |= {
            f"{activation}_z": theirs(z),
            f"{activation}_dx": theirs(dx),
            f"{activation}_dweight": dparams["scale"][...],
            f"{activation}_dbias": dparams["bias"][...],
            "running_mean_new": layer.mean[...],
            "running_var_new": layer.var[...],
        }
    return outputs


def partial_padded(layer, pad, x, damaged):
    """A partial convolution padded by any number: what lies outside is damaged, as the border is.

    Our layer pads by half a kernel. Its input is widened until its windows, or every so many of
    them, lie where those of the other padding do.
    """
    lack, stride, masks = pad - (layer.kernel - 1) // 2, layer.stride, (damaged,)
    if not lack:
        return layer(x, *masks)
    after = max(lack, 0)
    before = next(n for n in itertools.count(after) if (n - lack) % stride == 0)
    wider = ((0, 0), (before, after), (before, after), (0, 0))
    damaged = jnp.zeros((*x.shape[:3], 1)) if damaged is None else damaged
    y, mask = layer(jnp.pad(x, wider), jnp.pad(damaged, wider, constant_values=1))
    first = (before - lack) // stride
    rows, columns = (
        slice(first, first + (n + 2 * pad - layer.kernel) // stride + 1) for n in x.shape[1:3]
    )
    return y[:, rows, columns], mask[:, rows, columns]


@runs("pconv_layers")
def run_pconv_layers(state, inputs, notes):
    outputs = {}
    for key in [name.removesuffix(".weight") for name in state if name.endswith(".weight")]:
        weight, bias = state[f"{key}.weight"], state.get(f"{key}.bias")
        c_out, c_in, kernel, _ = weight.shape
        x, damaged = nhwc(inputs[f"{key}_x"]), 1 - nhwc(inputs[f"{key}_mask"])
        told = re.search(rf"\b{key}: [^;]*stride (\d+) pad (\d+)", notes["notes"])
        told = [tuple(map(int, told.groups()))] if told else []
        made = notes["outputs"][f"{key}_nvidia"]["shape"][2:]
        stride, pad = geometry(kernel, x.shape[1:3], made, *told)
        everywhere = np.broadcast_to(damaged, (*x.shape[:3], damaged.shape[-1]))
        forms = {"ratio": "nvidia", "sum": "naoto"}
        for form, name in forms.items():
            if f"{key}_{name}" not in notes["outputs"]:
                continue
            layer = partial.PartialConv(
                c_in, c_out, kernel, stride, bias=bias is not None, form=form, rngs=nnx.Rngs(0)
            )
            layer.conv.kernel[...] = weight.transpose(2, 3, 1, 0)
            if bias is not None:
                layer.bias[...] = bias

            @nnx.jit
            def run(layer, x, damaged, pad=pad):
                whole, _ = partial_padded(layer, pad, x, None)
                return *partial_padded(layer, pad, x, damaged), whole

            y, mask, whole = run(layer, x, everywhere)
            told = f"{key}_mask" if form == "ratio" else f"{key}_{name}_mask"
            channels = notes["outputs"][told]["shape"][1]  # all of theirs are equal, ours is one
            good = np.repeat(nchw(1 - np.asarray(mask[: len(damaged)])), channels, 1)
            outputs |= {f"{key}_{name}": nchw(y), f"{key}_{name}_nomask": nchw(whole), told: good}
    return outputs


@runs("gated_conv")
def run_gated_conv(state, inputs, notes):
    paddings = {"pt": "symmetric", "tf": "same"}
    outputs = {}
    for output in notes["outputs"]:
        family, key, *rest = output.split("_")
        conv, x = f"{key}.conv", nhwc(inputs["x"])
        if key == "up":
            conv, x = "up.conv.conv", x.repeat(2, 1).repeat(2, 2)
        weight, bias = state[f"{conv}.weight"], state.get(f"{conv}.bias")
        c_out, c_in, kernel, _ = weight.shape
        option = {"s": "stride", "d": "dilation"}.get(key[0])  # s2, d4
        own = dict(kernel=kernel, padding=paddings[family], bias=bias is not None)
        own |= {option: int(key[1:])} if option else {}
        own |= {"activation": "_".join(rest) or "elu"}
        layer = nnx.eval_shape(
            lambda c_in=c_in, c=c_out // 2, own=own: gated.GatedConv(
                c_in, c, **own, rngs=nnx.Rngs(0)
            )
        )
        arrays = {"conv.kernel": weight.transpose(2, 3, 1, 0)}
        names.fill(layer, arrays if bias is None else arrays | {"conv.bias": bias})
        outputs[output] = nchw(nnx.jit(lambda layer, x: layer(x))(layer, x))
    return outputs


@runs("pconv_unet", "pconv_unet_l5")
def run_pconv_unet(state, inputs, notes):
    levels = sum(bool(re.match(r"enc_\d+\.conv\.input_conv\.weight", key)) for key in state)
    width, c_in = state["enc_1.conv.input_conv.weight"].shape[:2]
    options = dict(c_in=c_in, c_out=len(state["dec_1.conv.input_conv.weight"]), width=width)
    net = nnx.eval_shape(
        lambda: partial_unet.PartialUNet(levels, **options, form="sum", rngs=nnx.Rngs(0))
    )
    names.fill(net, torch.partial_unet(state, "naoto"))
    net.eval()
    x, damaged = nhwc(inputs["x"]), 1 - nhwc(inputs["mask"])
    (y, mask), taps = nnx.jit(lambda net: (net(x, damaged), net.features(x, damaged)))(net)

    def good(mask, channels):
        return np.repeat(nchw(1 - np.asarray(mask)), channels, 1)

    outputs = {"out": nchw(y), "mask_out": good(mask, y.shape[-1])}
    for level, (features, masks) in enumerate(taps[1:], start=1):
        outputs[f"enc{level}"] = nchw(features)
        outputs[f"enc{level}_mask"] = good(masks[0], features.shape[-1])
    return outputs


def build_vgg(state, depth, until="pool5"):
    width, c_in = state["features.0.weight"].shape[:2]
    options = dict(until=until, width=width, c_in=c_in)
    net = nnx.eval_shape(lambda: vgg.VGG(depth, **options, rngs=nnx.Rngs(0)))
    names.fill(net, torch.vgg(state, depth, until=until))
    return net


@runs("vgg16", "vgg19")
def run_vgg(state, inputs, notes):
    net = build_vgg(state, int(notes["name"].removeprefix("vgg")))
    x, layers = nhwc(inputs["x"]), sorted(notes["outputs"].keys() - {"features"})
    features, taps = nnx.jit(lambda net: (net(x), net.taps(x, layers)))(net)
    return dict(zip(layers, map(nchw, taps), strict=True)) | {"features": nchw(features)}


def lpips_outputs(name, lpips, photo, target):
    layers = lpips.layers(photo, target)
    return {f"{name}_layers": layers, f"{name}_total": lpips(photo, target)}


@runs("lpips_random")
def run_lpips_random(state, inputs, notes):
    photo, target = ((nhwc(inputs[key]) + 1) / 2 for key in ("img0", "img1"))
    outputs = {}
    for (name,) in parts(notes, "(.+)_total"):
        trunk = {
            f"features.{key.split('.', 3)[3]}": array
            for key, array in state.items()
            if key.startswith(f"{name}.net.")
        }
        width = len(trunk["features.0.bias"])
        if name == "alex":
            network, arrays = alexnet.AlexNet, torch.alexnet(trunk)
        else:
            network = functools.partial(vgg.VGG, 16, until="relu5_3")
            arrays = torch.vgg(trunk, 16, until="relu5_3")
        heads = [state[f"{name}.lin{i}.model.1.weight"].reshape(-1) for i in range(5)]

        def build(name=name, network=network, width=width, heads=heads):
            lpips = perceptual.Lpips(name, rngs=nnx.Rngs(0))
            lpips.network = network(width=width, rngs=nnx.Rngs(0))
            lpips.heads = nnx.List([nnx.Param(jnp.ones(len(head))) for head in heads])
            return lpips

        lpips = nnx.eval_shape(build)
        arrays = {f"network.{key}": array for key, array in arrays.items()}
        names.fill(lpips, arrays | {f"heads.{i}": head for i, head in enumerate(heads)})
        outputs |= lpips_outputs(name, lpips, photo, target)
    return outputs


@runs("lpips_real")
def run_lpips_real(state, inputs, notes):
    photo, target = (image.to_float(inputs[key]) for key in ("img0", "img1"))
    outputs = {}
    for (name,) in parts(notes, "(.+)_total"):
        lpips = nnx.clone(perceptual.load(name))
        if name == "vgg":  # the fixture's kernels were rounded to half precision, ours are not
            for conv in [conv for stage in lpips.network.stages for conv in stage]:
                conv.kernel[...] = conv.kernel[...].astype("float16").astype("float32")
        outputs |= lpips_outputs(name, lpips, photo, target)
        outputs[f"{name}_self"] = lpips(photo, photo)
    return outputs


@runs("perceptual_losses")
def run_perceptual_losses(state, inputs, notes):
    def part(depth):
        start = f"vgg{depth}."
        return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}

    out, gt = nhwc(inputs["out"]), nhwc(inputs["gt"])
    c = gt.shape[-1]
    mask = by_channel(1 - nhwc(inputs["mask"]), c)  # theirs is 1 where the photo is good

    def inpainting(out, net):
        def extract(photo):
            return net.taps(together(photo, c), feature.PARTIAL_LAYERS)

        photos = by_channel(out), by_channel(gt)
        terms = feature.inpainting(extract, *photos, mask, vary_in_hole=False)
        return sum(feature.INPAINTING_WEIGHTS[k] * v for k, v in terms.items()), terms

    def old_photo(out, net):
        layers = feature.OLD_PHOTO_LAYERS
        ours, theirs = net.taps(out, list(layers)), net.taps(gt, list(layers))
        each = [pixel.l1(*pair) for pair in zip(ours, theirs, strict=True)]
        return feature.perceptual(ours, theirs, list(layers.values())), each

    def solve(loss, net):
        value = nnx.jit(lambda out, net: jax.value_and_grad(loss, has_aux=True)(out, net))
        return value(out, net)

    (total, terms), slope = solve(inpainting, build_vgg(part(16), 16, "pool3"))
    outputs = {"pconv_total": total, "pconv_total_grad_out": nchw(slope)}
    keys = {"perceptual": "prc", "variation": "tv"}
    outputs |= {f"pconv_{keys.get(term, term)}": value for term, value in terms.items()}
    (total, each), slope = solve(old_photo, build_vgg(part(19), 19, "relu5_1"))
    outputs |= {"vgg19_total": total, "vgg19_total_grad_out": nchw(slope)}
    return outputs | {"vgg19_layers": np.stack(each)}


def spectral_layer(kernel, bias, size, made, told, transposed):
    """The layer that PyTorch has for a kernel which maps sides `size` to `made`, normalized."""
    rngs, options = nnx.Rngs(0), dict(use_bias=bias is not None)
    if kernel.ndim == 2:
        layer = nnx.Linear(*kernel.shape[::-1], **options, rngs=rngs)
    elif transposed:  # a convolution backwards
        stride, pad = geometry(kernel.shape[2], made, size, *told)
        begin = kernel.shape[2] - 1 - pad
        ends = [m - (n - 1) * stride - 1 + pad for n, m in zip(size, made, strict=True)]
        options |= dict(strides=(stride, stride), padding=[(begin, end) for end in ends])
        options |= dict(transpose_kernel=True)
        layer = nnx.ConvTranspose(*kernel.shape[:2], kernel.shape[2:], **options, rngs=rngs)
    else:
        stride, pad = geometry(kernel.shape[2], size, made, *told)
        options |= dict(strides=(stride, stride), padding=[(pad, pad)] * 2)
        layer = nnx.Conv(*kernel.shape[1::-1], kernel.shape[2:], **options, rngs=rngs)
    return spectral.Spectral(layer, rngs=rngs)


@runs("torch_spectral_norm")
def run_torch_spectral_norm(state, inputs, notes):
    there, back = {4: (2, 3, 1, 0), 2: (1, 0)}, {4: (3, 2, 0, 1), 2: (1, 0)}
    layers, x, g = {}, {}, {}
    for key in dict.fromkeys(name.partition(".")[0] for name in state):
        kernel, bias = state[f"{key}.weight_orig"], state.get(f"{key}.bias")
        x[key] = nhwc(inputs.get(f"x_{key}", inputs["x"]))
        g[key] = nhwc(inputs[f"g_{key}"])
        transposed = key == "convt"
        words = (
            r"ConvTranspose2d\(k\d+ s(\d+) p(\d+)" if transposed else r"Conv2d\(\d+x\d+,()p(\d+)"
        )
        told = [tuple(int(n or 1) for n in pair) for pair in re.findall(words, notes["notes"])]
        sizes = x[key].shape[1:-1], g[key].shape[1:-1]
        given = (kernel, bias, *sizes, told, transposed)
        layers[key] = nnx.eval_shape(lambda given=given: spectral_layer(*given))
        arrays = {"layer.kernel": kernel.transpose(there[kernel.ndim])}
        arrays |= {} if bias is None else {"layer.bias": bias}
        arrays |= {"u": state[f"{key}.weight_u"], "v": np.zeros(layers[key].v.shape)}
        names.fill(layers[key], arrays)  # v is made from u before anything is made of it

    @nnx.jit
    def step(layers):
        slopes, found = {}, {}
        for key, layer in layers.items():

            def total(kernel, layer=layer, key=key):
                layer = nnx.clone(layer)
                layer.layer.kernel[...] = kernel
                return (layer(x[key]) * g[key]).sum()

            slopes[key] = jax.grad(total)(layer.kernel[...])
            y, sigma = layer(x[key]), layer.sigma()
            found[key] = (y, layer.kernel[...] / sigma, sigma)
        return slopes, found

    outputs = {}
    for i in range(1, 1 + max(int(i) for (i,) in parts(notes, r".+_u(\d+)"))):
        slopes, found = step(layers)
        for key, (y, weight, sigma) in found.items():
            layer, axes = layers[key], back[weight.ndim]
            sizes = np.delete(weight.shape, layer.output_axis)
            outputs |= {
                f"{key}_u{i}": layer.u[...],
                f"{key}_v{i}": np.moveaxis(np.reshape(layer.v, sizes), -1, 0).ravel(),
                f"{key}_sigma{i}": sigma,
                f"{key}_weight{i}": np.transpose(weight, axes),
                f"{key}_out{i}": nchw(y),
                f"{key}_grad_weight_orig": np.transpose(slopes[key], axes),
            }
    for layer in layers.values():
        layer.eval()
    _, found = step(layers)
    return outputs | {f"{key}_out_eval": nchw(y) for key, (y, *_) in found.items()}


@runs("sagan_attention")
def run_sagan_attention(state, inputs, notes):
    c = state["value_conv.weight"].shape[1]
    layer = nnx.eval_shape(lambda: attention.SelfAttention(c, rngs=nnx.Rngs(0)))
    names.fill(layer, critics.self_attention(state))
    x = nhwc(inputs["x"])
    out, weights = nnx.jit(lambda layer: (layer(x), layer.attention(x)))(layer)
    return {"out": nchw(out), "attention": weights}


@runs("sagan_attention_tf")
def run_sagan_attention_tf(state, inputs, notes):
    c = state["sn_conv_g/w"].shape[2]
    layer = nnx.eval_shape(lambda: attention.SelfAttention(c, form="tf", rngs=nnx.Rngs(0)))
    places = {"query": "theta", "key": "phi", "value": "g", "out": "attn"}
    arrays = {"gamma": state["sigma_ratio"].reshape(1)}
    for ours, theirs in places.items():
        kernel, u = (state[f"sn_conv_{theirs}/{key}"] for key in "wu")
        arrays |= {f"{ours}.layer.kernel": kernel, f"{ours}.u": u[0]}
        arrays[f"{ours}.v"] = np.zeros(kernel.shape[2])  # made from u
    names.fill(layer, arrays)
    x = nhwc(inputs["x"])
    outputs = {"out": nchw(nnx.jit(lambda layer: layer(x))(layer))}
    layer.eval()
    outputs["attention"] = nnx.jit(lambda layer: layer.attention(x))(layer)
    for ours, theirs in places.items():
        part = getattr(layer, ours)
        outputs[f"sn_conv_{theirs}/u_new"] = part.u[...][None]
        outputs[f"sn_conv_{theirs}/sigma"] = part.sigma()
    return outputs


@runs("sagan_disc64")
def run_sagan_disc64(state, inputs, notes):
    levels = sum(key.endswith(".module.weight_bar") for key in state)
    kernels = [state[f"l{i}.0.module.weight_bar"] for i in range(1, levels + 1)]
    widths = [len(kernel) for kernel in kernels]
    count = sum(key.endswith(".gamma") for key in state)
    seen = [state[f"attn{i}.query_conv.weight"].shape[1] for i in range(1, count + 1)]
    options = dict(width=widths[0], levels=levels)
    options["attention"] = tuple(widths.index(c) + 1 for c in seen)
    net = nnx.eval_shape(
        lambda: discriminators.AttentionDiscriminator(
            kernels[0].shape[1], **options, rngs=nnx.Rngs(0)
        )
    )
    names.fill(net, critics.attention_discriminator(state, options["attention"]))
    x, outputs = nhwc(inputs["x"]), {}

    @nnx.jit
    def score(net):
        """The scores of a training pass, and where all layers of attention looked in it."""
        net.train()
        *maps, scores = net.taps(x)
        net.eval()
        looks = []
        for layer, level in zip(net.attentions, net.attention, strict=True):
            before = net.convs[level - 1]([x, *maps][level - 1])
            looks.append(layer.attention(jax.nn.leaky_relu(before, 0.1)))
        return scores, looks

    for i in range(1, 1 + max(int(i) for (i,) in parts(notes, r"out_pass(\d+)"))):
        scores, looks = score(net)
        # the original drops axes of length 1; the score has one channel
        outputs[f"out_pass{i}"] = scores.reshape(notes["outputs"][f"out_pass{i}"]["shape"])
        if i == 1:
            outputs |= {f"attention{j}": look for j, look in enumerate(looks, start=1)}
    return outputs | {f"u_l{i}": conv.u[...] for i, conv in enumerate(net.convs, start=1)}


@runs("bopb_discriminator", "bopb_discriminator_sn", "bopb_latent_discriminator")
def run_bopb_discriminator(state, inputs, notes):
    spectral = any(key.endswith(".weight_orig") for key in state)
    first = state["scale0_layer0.0.weight_orig" if spectral else "scale0_layer0.0.weight"]
    scales, convs = (
        {found[i] for key in state if (found := re.match(r"scale(\d+)_layer(\d+)\.", key))}
        for i in (1, 2)
    )
    options = dict(width=len(first), layers=len(convs) - 2, scales=len(scales))
    net = nnx.eval_shape(
        lambda: discriminators.MultiscaleDiscriminator(
            first.shape[1], **options, spectral=spectral, rngs=nnx.Rngs(0)
        )
    )
    names.fill(net, critics.multiscale_discriminator(state, spectral=spectral))
    net.eval()
    x = nhwc(inputs["x"])
    maps = nnx.jit(lambda net, x: net.taps(x))(net, x)
    return {
        f"d{i}_layer{j}": nchw(array)
        for i, critic in enumerate(maps)
        for j, array in enumerate(critic)
    }
