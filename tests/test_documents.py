"""What documents say is so: their commands parse, their files exist, their links lead somewhere."""

import argparse
import ast
import importlib
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FOLDERS = (".ci", "configs", "docs", "experiments", "oldphoto_jax", "tests")
PATHS = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
    *(path for name in ("docs", "experiments", "tests") for path in (ROOT / name).rglob("*.md")),
)
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PATHS}
README = DOCUMENTS["README.md"]
BINARY = (".pyc", ".npz", ".safetensors")
PLACEHOLDER = re.compile(r"[A-Z]{4,}")  # models/NAME.py


def blocks(text, language="bash"):
    """What stands between fences of this language, without the indentation of lists."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)


def spans(text):
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


BLOCKS = [block for text in DOCUMENTS.values() for block in blocks(text)]
GUIDES = [README, *(text for name, text in DOCUMENTS.items() if name.startswith("docs/"))]
SPANS = [span for text in GUIDES for span in spans(text)]

# Parses each command line by the program's own flags, and checks what a run would check first.
PARSE = """
import importlib, json, sys
from absl import flags
from oldphoto_jax import main
errors = []
for arguments in json.load(sys.stdin):
    for name in list(flags.FLAGS):
        delattr(flags.FLAGS, name)
    importlib.reload(main)
    sys.argv = ["main", *arguments]  # where ml_collections looks for changed fields
    try:
        flags.mark_flags_as_required(["config"])
        assert flags.FLAGS(sys.argv) == ["main"]
        flags.FLAGS.config.check()
        errors.append("")
    except Exception as error:
        errors.append(repr(error))
print(json.dumps(errors))
"""


class Parsed(Exception):
    """Raised in place of the work that would follow."""


def commands():
    """Every command as a list of words, without the folder of the environment."""
    for block in BLOCKS:
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                yield tuple(word.removeprefix(".venv/bin/") for word in words)
    for span in SPANS:
        if re.match(r"(oldphoto|python -m) \S+ \S", span):  # more than a name
            yield tuple(shlex.split(span))


def ours(words):
    """[module, argument, ...] of a command that starts a program of ours, else nothing."""
    if words[0] == "oldphoto":
        return ["oldphoto_jax.cli", *words[1:]]
    module = words[2] if words[:2] == ("python", "-m") else ""
    return [*words[2:]] if module.split(".")[0] in FOLDERS else []


COMMANDS = [*dict.fromkeys(commands())]
OURS = [ours(words) for words in COMMANDS if ours(words)]
TRAININGS = [words[1:] for words in OURS if words[0] == "oldphoto_jax.main"]
OTHERS = [words for words in OURS if words[0] != "oldphoto_jax.main"]
RUN = ["--config=configs/segment.py", "--workdir=runs/x"]
CHANGES = [
    [*RUN, *shlex.split(span)]
    for span in dict.fromkeys(SPANS)
    if re.match(r"--config\..*=", span) and not PLACEHOLDER.search(span)
]
MISSPELT = [*RUN, "--config.task.sise=1"]


@pytest.fixture(scope="module")
def errors():
    """What the training door says to every command line that is shown, and to a wrong one."""
    answer = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps([*TRAININGS, *CHANGES, MISSPELT]),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_commands_are_of_known_programs():
    known = {"oldphoto", "python", "python3", "pip", "pytest", "sphinx-build", "source"}
    assert {words[0] for words in COMMANDS} <= known | {".ci/run", "GOLDEN_DIR=other/fixtures"}
    assert {words[0] for words in OURS} >= {"oldphoto_jax.cli", "oldphoto_jax.main"}


@pytest.mark.parametrize("command", OTHERS, ids=shlex.join)
def test_commands_are_understood(command, monkeypatch):
    real = argparse.ArgumentParser.parse_args

    def parse(self, args=None, namespace=None):
        raise Parsed(real(self, args, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", command)
    door = importlib.import_module(command[0]).main
    with pytest.raises(Parsed):
        door()


def test_trainings_are_understood(errors):
    assert len(TRAININGS) > 3 and CHANGES
    for words, error in zip([*TRAININGS, *CHANGES], errors[:-1], strict=True):
        assert not error, f"{shlex.join(words)}: {error}"


def test_a_misspelt_field_is_noticed(errors):
    assert "sise" in errors[-1]


def test_the_two_commands_are_whole_lines_and_ci_runs_the_second():
    starts = [block for block in blocks(README) if block.startswith("python3 -m venv")]
    wholes = [block.strip() for block in starts]
    assert len(wholes) == 2 and not any("\n" in line for line in wholes)
    first, second = wholes
    assert "oldphoto restore --sample" in first and second.endswith("pytest -q")
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert script[-1] == second  # pytest's closing line is the last thing seen


def test_extras_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"(?:\.|oldphoto-jax)\[([a-z,]+)\]", "".join(DOCUMENTS.values()))
    extras = {extra for several in named for extra in several.split(",")}
    assert "test" in extras and extras <= project["optional-dependencies"].keys()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 170


def test_python_that_is_shown_can_be_imported():
    shown = [block for text in DOCUMENTS.values() for block in blocks(text, "python")]
    assert shown
    for block in shown:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), block


def test_files_that_are_spoken_of_exist():
    paths = [span for span in SPANS if span.split("/")[0] in FOLDERS and "/" in span]
    paths += [w for command in COMMANDS for w in command if re.fullmatch(r"tests/\w+\.py", w)]
    paths += [words[0].replace(".", "/") + ".py" for words in OURS]
    assert len(paths) > 10
    for path in paths:
        folder = path if not PLACEHOLDER.search(path) else path.rpartition("/")[0]
        assert (ROOT / folder).exists(), path


def test_modules_of_the_reference_exist():
    text = "".join(text for name, text in DOCUMENTS.items() if name.startswith("docs/reference/"))
    names = " ".join(re.findall(r"<!-- modules: (.*) -->", text)).split()
    assert len(names) == len({*names}) > 10
    for name in names:
        place = ROOT.joinpath("oldphoto_jax", *name.split("."))
        assert place.is_dir() or place.with_suffix(".py").exists(), name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        if "://" in link:
            assert link.startswith("https://")
            continue
        target = (ROOT / name).parent.joinpath(path) if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link


def test_no_file_names_a_host_of_a_package_registry():
    # Brackets, lest this file find itself.
    hosts = re.compile(
        rb"registry\.[n]pmjs|[n]pmmirror|[y]arnpkg\.com|[p]ypi\.|[p]ythonhosted|mirrors?\.[a-z0-9]+\."
        rb"|[c]rates\.io|[a]naconda\.(com|org)|[j]sdelivr|[u]npkg\.com|[r]ubygems|[p]roxy\.golang",
        re.I,
    )
    assert hosts.search(b"https://registry." + b"npmjs.org/x")
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in (*paths, *ROOT.iterdir()):
        if path.is_file() and path.suffix not in (".pyc", ".npz", ".safetensors"):
            found = hosts.search(path.read_bytes())
            assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_no_file_knows_a_machine():
    # Brackets, lest this file find itself.
    foreign = re.compile(rb"/[w]ork/|/[t]mp/|/[r]oot/|/[h]ome/|\.\./[s]hared")
    ours = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    read = 0
    for path in (*ours, *ROOT.iterdir()):
        if path.name != ".git" and path.is_file() and path.suffix not in BINARY:
            found = foreign.search(path.read_bytes())
            assert not found, f"{path.relative_to(ROOT)}: {found}"
            read += 1
    assert read > 100
