"""What all tests share."""

import importlib.metadata
import os

from packaging.version import Version

os.environ.setdefault("JAX_PLATFORMS", "cpu")

DEVICES = "--xla_force_host_platform_device_count=4"
EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # a flag that ends JAX where it is unknown
KNOWN_UNTIL = Version("0.10.2")
NO_RUNNER = "has no runner in tests/golden_runners.py"


def pytest_configure(config):
    """Chooses XLA's flags before JAX reads them.

    The tests' time goes into compiling, of which XLA's older emitters need much less. Slow proofs
    look at programs as users run them.
    """
    known = Version(importlib.metadata.version("jaxlib")) <= KNOWN_UNTIL
    swift = known and config.option.markexpr == "not slow"
    os.environ.setdefault("XLA_FLAGS", f"{DEVICES} {EMITTERS}" if swift else DEVICES)


def pytest_terminal_summary(terminalreporter):
    """Names the fixtures of GOLDEN_DIR that were not checked: a skip alone would say nothing."""
    reasons = [
        report.longrepr[2]
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple) and NO_RUNNER in report.longrepr[2]
    ]
    if reasons:
        terminalreporter.section(f"golden fixtures that were not checked: {len(reasons)}")
        for reason in sorted(reasons):
            terminalreporter.write_line(reason.removeprefix("Skipped: "))
