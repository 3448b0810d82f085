"""What all tests share."""

import importlib.metadata
import os

import pytest
from packaging.version import Version

os.environ.setdefault("JAX_PLATFORMS", "cpu")

DEVICES = "--xla_force_host_platform_device_count=4"
EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # a flag that ends JAX where it is unknown
KNOWN_UNTIL = Version("0.10.2")


def pytest_addoption(parser):
    help = "with skipped tests a run has failed"
    parser.addoption("--none-skipped", action="store_true", help=help)


def pytest_configure(config):
    """Chooses XLA's flags before JAX reads them.

    The tests' time goes into compiling, of which XLA's older emitters need much less. Slow proofs
    look at programs as users run them.
    """
    known = Version(importlib.metadata.version("jaxlib")) <= KNOWN_UNTIL
    swift = known and config.option.markexpr.startswith("not slow")
    os.environ.setdefault("XLA_FLAGS", f"{DEVICES} {EMITTERS}" if swift else DEVICES)


def pytest_sessionfinish(session, exitstatus):
    """Lets a run fail in which a test was skipped, where that is asked for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.option.none_skipped and reporter.stats.get("skipped"):
        reporter.section("skipped, which --none-skipped forbids", red=True)
        for report in reporter.stats["skipped"]:
            reporter.line(f"{report.nodeid}: {report.longrepr[2]}")
        session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED
