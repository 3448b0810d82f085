"""What all tests share."""

import importlib.metadata
import os

from packaging.version import Version

os.environ.setdefault("JAX_PLATFORMS", "cpu")

DEVICES = "--xla_force_host_platform_device_count=4"
EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # a flag that ends JAX where it is unknown
KNOWN_UNTIL = Version("0.10.2")


def pytest_configure(config):
    """Chooses XLA's flags before JAX reads them.

    The tests' time goes into compiling, of which XLA's older emitters need much less. Slow proofs
    look at programs as users run them.
    """
    known = Version(importlib.metadata.version("jaxlib")) <= KNOWN_UNTIL
    swift = known and config.option.markexpr == "not slow"
    os.environ.setdefault("XLA_FLAGS", f"{DEVICES} {EMITTERS}" if swift else DEVICES)
