"""What all tests share."""

import importlib.metadata
import os

import pytest
from packaging.version import Version

os.environ.setdefault("JAX_PLATFORMS", "cpu")

DEVICES = "--xla_force_host_platform_device_count=4"
EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # a flag that ends JAX where it is unknown
KNOWN_UNTIL = Version("0.10.2")
NO_RUNNER = "has no runner in tests/golden_runners.py"


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


def pytest_sessionfinish(session, exitstatus):
    """Lets a run fail in which a test was skipped, where that is asked for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.option.none_skipped and reporter.stats.get("skipped"):
        reporter.section("skipped, which --none-skipped forbids", red=True)
        for report in reporter.stats["skipped"]:
            reporter.line(f"{report.nodeid}: {report.longrepr[2]}")
        session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED
