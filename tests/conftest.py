"""What all tests share."""

import importlib.metadata
import os
import shutil
import tempfile

import pytest
from packaging.version import Version

from tests import memory

os.environ.setdefault("JAX_PLATFORMS", "cpu")

DEVICES = "--xla_force_host_platform_device_count=4"
EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # a flag that ends JAX where it is unknown
KNOWN_UNTIL = Version("0.10.2")
# Tests spend more on compiling than on computing. What one of them has compiled, in whichever
# process, none compiles again in the same run.
QUICK = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
NO_RUNNER = "has no runner in tests/golden_*.py"


def pytest_addoption(parser):
    help = "with skipped tests a run has failed"
    parser.addoption("--none-skipped", action="store_true", help=help)


def pytest_configure(config):
    """Chooses how programs are compiled before JAX looks.

    Slow proofs look at programs as users run them.
    """
    flags = [DEVICES]
    if config.option.markexpr.startswith("not slow"):
        if Version(importlib.metadata.version("jaxlib")) <= KNOWN_UNTIL:
            flags.append(EMITTERS)  # the older ones need much less time
        if not hasattr(config, "workerinput"):  # workers get the environment of this process
            folder = tempfile.mkdtemp(prefix="compiled-")
            config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
            os.environ.update(QUICK, JAX_COMPILATION_CACHE_DIR=folder)
    os.environ.setdefault("XLA_FLAGS", " ".join(flags))


@pytest.fixture(autouse=True, scope="module")
def forgotten():
    """Lets go of a file's programs behind its last test: those of all files take gigabytes."""
    yield
    memory.release()


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
