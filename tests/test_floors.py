"""Who may import whom: the floors of the house, read from the code itself."""

import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
HOUSE = "oldphoto_jax"
OUTSIDE = ("configs", "experiments")  # ours too, but no part of the package

# A room, or one module of it, and what it may import besides its own room.
FLOORS = {
    "photo": (),
    "weights": (),
    "layers": ("photo",),
    "losses": ("photo",),
    "damage": ("photo",),
    "metrics": ("photo",),
    "metrics.perceptual": ("models", "weights"),  # LPIPS is a network
    "task": ("photo",),
    "obvious": ("photo", "metrics.width"),
    "data": ("photo",),
    "models": ("layers", "photo"),
    "train": ("layers", "photo", "task", "data", "weights"),
    "tasks": ("models", "losses", "damage", "metrics", "task", "photo"),
    "main": ("train",),
    "restore": ("tasks", "task", "weights", "photo"),
    "restore.evaluate": ("metrics", "damage", "data.sources"),
    "restore.evaluate_obvious": ("metrics", "obvious"),
    "restore.evaluate_pairs": ("metrics",),
    "restore.evaluate_colorize": ("metrics",),
    "restore.evaluate_inpaint": ("metrics",),
    "restore.colorize": ("metrics",),
    "restore.color_figures": ("metrics", "models"),
    "restore.skin_figures": ("metrics",),
    "restore.holes": ("metrics",),
    "restore.hole_figures": ("metrics",),
    "restore.sample": ("damage", "data.sources"),
    "teach": ("restore", "tasks", "damage", "train", "data", "task", "weights"),
    "commands": (
        "restore",
        "teach",
        "tasks",
        "data.sources",
        "data.pairs",
        "weights",
        "photo.contained",
    ),
    "terminal": (),
    "cli": ("commands", "terminal"),
    "configs": ("tasks", "damage", "train.config", "train.optimizer", "data.sources"),
    "experiments": ("configs", "main"),
    "experiments.inpaint_choices": ("tasks", "train.optimizer"),
    "experiments.convolution_speed": ("layers",),
    "experiments.depthwise_speed": ("layers",),
    "experiments.norm_memory": ("layers",),  # measures a part, as no configuration could
    "experiments.precision_gradients": ("layers", "data.sources", "train.state", "train.step"),
    "experiments.inpaint_speed": ("models", "weights"),
    "experiments.inpaint_torch": (),
    "experiments.speed": ("data", "damage", "cli"),
    "experiments.visit": ("task", "tasks", "weights"),
    "experiments.restore_speed": ("damage", "data.sources", "photo", "restore.restorer"),
    "experiments.aftermath": ("photo",),
    "experiments.broken": ("data.sources",),
    "experiments.restore_faults": ("data.sources", "photo"),
    "experiments.plan": (
        "train.checkpoint",
        "train.config",
        "train.needs",
        "train.workdir",
        "data.sources",
    ),
    "experiments.report": ("train.workdir",),
    "experiments.ledger": ("train.workdir",),
    "experiments.saved_residuals": ("tasks.segment",),
    "experiments.seeing_exams": (
        "data.sources",
        "restore.evaluate",
        "restore.evaluate_obvious",
        "restore.stage",
        "tasks.segment",
        "train.workdir",
        "weights",
    ),
    "experiments.tone_kinds": ("damage", "data.sources", "photo"),
    "experiments.fill_sheet": ("restore", "tasks.inpaint", "photo", "data.sources"),
    "experiments.genuine_exam": (
        "metrics.mask",
        "metrics.stream",
        "restore.detect",
        "restore.stage",
        "restore.tophat",
        "tasks.segment",
        "photo",
        "weights",
    ),
    "experiments.old_photos": (
        "restore.detect",
        "restore.sheet",
        "restore.stage",
        "tasks.segment",
        "photo",
        "weights",
    ),
    "experiments.pack_weights": (
        "task",
        "tasks.segment",
        "data.sources",
        "metrics.mask",
        "restore.evaluate",
        "restore.stage",
        "photo",
        "weights",
    ),
    "experiments.segment_mistakes": (
        "restore.detect",
        "restore.evaluate",
        "restore.stage",
        "tasks.segment",
        "photo",
        "data.sources",
        "weights",
    ),
    "experiments.duel": (
        "restore.colorize",
        "restore.stage",
        "tasks.colorize",
        "photo",
        "data.sources",
    ),
    "experiments.sheet": (
        "restore.colorize",
        "restore.stage",
        "tasks.colorize",
        "photo",
        "data.sources",
    ),
}

# Whatever else is added to the table, this holds.
NEVER = {
    "train": ("tasks",),  # the loop must not know a task
    "models": ("losses",),
    "tasks": ("data", "train"),
    "photo": (*OUTSIDE, "restore", "teach", "commands", "cli", "main"),
}
DOORS = (
    "restore",
    "teach",
    "commands",
    "cli",
    "main",
    *OUTSIDE,
)  # only other doors go through them
DYNAMIC = {"task.py"}  # brings a task back from the text in a weights file
FOREIGN = ("tensorflow", "torch", "torchvision", "keras")
NETWORK = ("ftplib", "http", "requests", "smtplib", "ssl", "urllib.request", "socket")
LOCAL = {"socket", "socket.gethostname"}  # the name of this machine
CONNECTED = {"weights.fetch"}  # all else stays on this machine
COMPARED = {"experiments.inpaint_torch": {"torch"}}  # measured against, by nobody needed


def modules():
    """Every module of ours by its name in this file: 'train.loop', 'configs.segment'."""
    package = ROOT / HOUSE
    inside = {path: path.relative_to(package) for path in package.rglob("*.py")}
    outside = {p: p.relative_to(ROOT) for name in OUTSIDE for p in (ROOT / name).rglob("*.py")}
    return {
        ".".join(short.with_suffix("").parts).removesuffix("__init__").rstrip("."): path
        for path, short in (inside | outside).items()
    }


MODULES = modules()
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imports(tree):
    """(absolute name of every module or thing imported, line), wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: write imports in full"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def ours(tree):
    """(module of ours, line) for every import of one."""
    for name, line in imports(tree):
        if name.split(".")[0] in (HOUSE, *OUTSIDE):
            short = "" if name == HOUSE else name.removeprefix(f"{HOUSE}.")
            yield (short if short in MODULES else short.rpartition(".")[0]), line


def within(name, room):
    return name == room or name.startswith(f"{room}.")


def row(name):
    """What a module may import: its room's row and its own."""
    room = name.split(".")[0]
    own = FLOORS.get(name, ()) if name != room else ()
    return (room, *FLOORS[room], *own)


def test_the_reader_sees_every_kind_of_import():
    code = """
from __future__ import annotations
import os.path
if TYPE_CHECKING:
    from oldphoto_jax.photo.types import Array
def late():
    from oldphoto_jax import cli, __version__
    import oldphoto_jax.train.loop as loop
"""
    seen = [name for name, _ in ours(ast.parse(code))]
    assert seen == ["photo.types", "cli", "", "train.loop"]
    with pytest.raises(AssertionError, match="in full"):
        list(imports(ast.parse("from .loop import train")))


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_every_module_keeps_to_its_floor(name):
    assert name.split(".")[0] in FLOORS, f"{name} has no row in FLOORS: decide on its floor"
    allowed = row(name)
    strangers = [
        f"{MODULES[name].relative_to(ROOT)}:{line} imports {target}"
        for target, line in ours(TREES[name])
        if target and not any(within(target, room) for room in allowed)
    ]
    assert not strangers, f"{strangers}; allowed: {allowed}"


def test_what_judges_is_unknown_to_what_is_trained():
    users = {name: {target for target, _ in ours(tree)} for name, tree in TREES.items()}
    judges = {name for name, used in users.items() if any(within(one, "obvious") for one in used)}
    assert {name for name in judges if not within(name, "obvious")} == {"restore.evaluate_obvious"}
    askers = {name for name, used in users.items() if "restore.evaluate_obvious" in used}
    assert askers == {"commands.evaluate", "experiments.seeing_exams"}


def test_the_table_names_what_exists():
    for name, allowed in FLOORS.items():
        for room in (name, *allowed):
            assert any(within(module, room) for module in MODULES), f"no {room} in this house"


def test_the_table_holds_no_circle_and_nothing_forbidden():
    rooms = {name.split(".")[0] for name in FLOORS}
    graph = {room: set() for room in rooms}
    for name, allowed in FLOORS.items():
        graph[name.split(".")[0]] |= {target.split(".")[0] for target in allowed}
    graphlib.TopologicalSorter(graph).prepare()
    for room, forbidden in NEVER.items():
        assert not graph[room] & set(forbidden)
    for room in rooms - set(DOORS):
        assert not graph[room] & set(DOORS), f"{room} goes through a door"
    assert not any(graph[room] & set(OUTSIDE) for room in rooms - set(OUTSIDE))


def test_no_import_circles():
    graph = {
        name: {target for target, _ in ours(tree) if target != name} for name, tree in TREES.items()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names a circle
    assert set(order) >= set(TREES)


@pytest.mark.parametrize("name", MODULES)
def test_no_other_framework_and_no_back_door(name):
    tree = TREES[name]
    foreign = {imported.split(".")[0] for imported, _ in imports(tree)} & set(FOREIGN)
    assert foreign == COMPARED.get(name, set())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {getattr(func, "attr", getattr(func, "id", "")) for func in calls}
    assert not names & {"__import__", "import_module", "exec"} or MODULES[name].name in DYNAMIC


def test_one_module_uses_the_network():
    connected = set()
    for name, tree in TREES.items():
        used = {imported for imported, _ in imports(tree)}
        used |= {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if any(within(one, room) for one in used - LOCAL for room in NETWORK):
            connected.add(name)
    assert connected == CONNECTED


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_swallowed_left_open_or_given_to_a_shell(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ExceptHandler):
            where = f"{MODULES[name].name}:{node.lineno}"
            assert node.type is not None, f"{where}: name the exceptions"
            caught = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert raises or not caught & {"Exception", "BaseException"}, f"{where}: swallowed"
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert isinstance(node.value, ast.Constant) and node.value.value is False
    text = MODULES[name].read_text("utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)


@pytest.mark.parametrize("start", ["import oldphoto_jax", "from oldphoto_jax.cli import parser"])
def test_starting_loads_nothing_heavy(start):
    code = f"{start}\nif 'parser' in dir(): parser()\nimport sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert loaded.returncode == 0, loaded.stderr
    assert HOUSE in loaded.stdout.split()
    assert not set(loaded.stdout.split()) & {"jax", "flax", "cv2", "numpy", *FOREIGN}
