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
DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")

# A room and what it may import besides its own room; no module of a room has a row of its own. A
# room's name stands for what lies in it but not for the rooms in it that have rows of their own.
#
# `photo` is three rooms, one on the other. In `photo` itself is what a photo is once it is read:
# pixels, colours, and what lies beside them (EXIF, XMP, profiles, and `content`, which names it
# all); nothing there knows the format of a file, so whoever computes stands on it alone.
# `photo.codecs` knows the formats, byte by byte, and takes and gives that content. `photo.disk`
# finds, names, reads and writes files by them, and starts the processes in which it reads them.
#
# `restore` takes arrays and gives arrays: flows, their steps, networks asked about any size.
# `folder` takes photo files through flows, and sees to it that none is lost and none done twice.
# `exams` measures methods, networks by flows too, on photos whose truth is known.
FLOORS = {
    "photo": (),
    "photo.codecs": ("photo",),
    "photo.disk": ("photo.codecs", "photo"),
    "weights": ("weights.readers",),
    # Foreign files, opened without their frameworks; of our own files only how they are laid down.
    "weights.readers": ("weights.store", "weights.installed"),
    "layers": ("photo",),
    "losses": ("photo",),
    "damage": ("photo",),
    "metrics": ("photo", "models", "weights", "weights.readers"),  # LPIPS and classifiers
    "described": (),
    "heap": (),
    "task": ("photo", "predictors"),
    "obvious": ("photo", "metrics.width"),
    "data": ("photo", "photo.disk"),
    "models": ("layers", "photo"),
    "predictors": ("models", "photo", "described"),
    "train": ("layers", "photo", "photo.disk", "task", "data", "weights", "described"),
    "tasks": ("predictors", "models", "losses", "damage", "metrics", "task", "photo"),
    "main": ("train", "heap"),
    "restore": ("predictors", "described", "metrics", "weights", "photo", "photo.disk"),
    "folder": ("restore", "weights", "photo", "photo.codecs", "photo.disk"),
    "sample": ("damage", "data.sources", "photo", "photo.disk"),
    "exams": (
        "restore",
        "predictors",
        "metrics",
        "damage",
        "obvious",
        "weights",
        "weights.readers",
        "photo",
        "photo.disk",
    ),
    "teach": (
        "exams",
        "restore",
        "tasks",
        "predictors",
        "models",
        "damage",
        "train",
        "data",
        "weights",
    ),
    "commands": (
        "sample",
        "folder",
        "exams",
        "restore",
        "teach",
        "predictors",
        "data.sources",
        "data.pairs",
        "weights",
        "photo.disk",
    ),
    "terminal": (),
    "cli": ("commands", "terminal", "heap"),
    "configs": (
        "tasks",
        "predictors",
        "models",
        "damage",
        "train.config",
        "train.optimizer",
        "data.sources",
        "photo.palette",
        "photo.ab_bins",
    ),
    # The top floor: nothing stands on it, so its pictures and exams may look at all below.
    "experiments": (
        "configs",
        "folder",
        "exams",
        "restore",
        "tasks",
        "predictors",
        "models",
        "train",
        "data",
        "metrics",
        "damage",
        "weights",
        "photo",
        "photo.disk",
    ),
    "experiments.speed": (
        "configs",
        "restore",
        "tasks",
        "predictors",
        "train",
        "models",
        "layers",
        "data",
        "damage",
        "weights",
        "weights.readers",
        "photo",
        "photo.disk",
        "heap",
    ),
}

# Whatever else is added to the table, this holds.
NEVER = {
    "train": ("tasks", "predictors"),  # the loop must not know a task
    # It asks what is kept, not who trained it, nor on what; photo files it leaves to others.
    "restore": ("tasks", "task", "folder", "exams", "damage"),
    "models": ("losses",),
    "tasks": ("data", "train"),
    "photo": (*OUTSIDE, "restore", "folder", "exams", "teach", "commands", "cli", "main"),
}
# Only other doors go through them.
DOORS = ("restore", "folder", "exams", "teach", "commands", "cli", "main", *OUTSIDE)
DYNAMIC = {"described.py"}  # brings a predictor back from the text in a weights file
FOREIGN = ("tensorflow", "torch", "torchvision", "keras", "onnx", "onnxruntime", "onnxscript")
NETWORK = ("ftplib", "http", "requests", "smtplib", "ssl", "urllib.request", "socket")
LOCAL = {"socket", "socket.gethostname"}  # the name of this machine
UNPICKLING = {"weights.readers.unpickler"}
CONNECTED = {"weights.web"}  # all else stays on this machine
COMPARED = {  # measured against, by nobody needed
    "experiments.speed.inpaint_torch": {"torch"},
    "experiments.speed.lite_unet_torch": {"torch"},
    "experiments.speed.beside_torch": {"torch", "onnxruntime"},
}


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


def asks(tree):
    """Whether an experiment is a question: `experiments.run` walks its VARIANTS."""
    targets = (target for node in tree.body for target in getattr(node, "targets", ()))
    return any(isinstance(target, ast.Name) and target.id == "VARIANTS" for target in targets)


def within(name, room):
    return name == room or name.startswith(f"{room}.")


def room_of(name):
    """The innermost room with a row of its own in which a module, or a room, lies."""
    parts = name.split(".")
    rooms = (".".join(parts[:count]) for count in range(len(parts), 1, -1))
    return next((one for one in rooms if one in FLOORS and is_folder(one)), parts[0])


def is_folder(name):
    return name in MODULES and MODULES[name].name == "__init__.py"


def defined(name):
    """Whether there is a module of this name, or a class or function of one."""
    module, rest = name, []
    while module not in MODULES:
        module, _, last = module.rpartition(".")
        rest.insert(0, last)
    nodes = TREES[module].body if module else []
    for part in rest:
        own = [node for node in nodes if getattr(node, "name", "") == part]
        nodes = own[0].body if own else []
    return bool(module) and (not rest or bool(nodes))


def row(name):
    """What a module may import: its room, and what that may."""
    room = room_of(name)
    return (room, *FLOORS[room])


def covers(allowed, target):
    """Whether a name in the table stands for a module."""
    return within(target, allowed) and room_of(target) == room_of(allowed)


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


def test_a_room_does_not_stand_for_the_rooms_in_it():
    assert row("photo.codecs.png") == ("photo.codecs", "photo")
    assert covers("photo", "photo.color") and not covers("photo", "photo.codecs.png")
    assert covers("photo.codecs", "photo.codecs.png") and not covers("photo.codec", "photo.codecs")


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_every_module_keeps_to_its_floor(name):
    assert name.split(".")[0] in FLOORS, f"{name} has no row in FLOORS: decide on its floor"
    allowed = row(name)
    strangers = [
        f"{MODULES[name].relative_to(ROOT)}:{line} imports {target}"
        for target, line in ours(TREES[name])
        if target and not any(covers(one, target) for one in allowed)
    ]
    assert not strangers, f"{strangers}; allowed: {allowed}"


@pytest.mark.parametrize("name", [name for name, tree in TREES.items() if asks(tree)])
def test_a_question_with_variants_changes_configurations_and_nothing_else(name):
    allowed = ("experiments", "configs", *FLOORS["configs"])
    strangers = [to for to, _ in ours(TREES[name]) if not any(covers(one, to) for one in allowed)]
    assert not strangers, f"{name} is a question, whose VARIANTS are made of {allowed}"


def test_what_judges_is_unknown_to_what_is_trained():
    users = {name: {target for target, _ in ours(tree)} for name, tree in TREES.items()}
    judges = {name for name, used in users.items() if any(within(one, "obvious") for one in used)}
    assert {name for name in judges if not within(name, "obvious")} == {"exams.obvious"}
    askers = {name for name, used in users.items() if "exams.obvious" in used}
    assert askers == {"commands.evaluate", "experiments.seeing_exams"}


def test_the_table_names_what_exists():
    for name, allowed in FLOORS.items():
        assert is_folder(name) or "." not in name, f"{name} is a module of a room, an exception"
        for room in (name, *allowed):
            assert any(within(module, room) for module in MODULES), f"no {room} in this house"


def test_the_design_tells_the_same_floors_from_the_ground_up():
    section = DESIGN.partition("\n## The floors\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (`.*`) \| (.*) \|$", section, re.M)
    names = [[re.findall(r"`([\w.]+)`", cell) for cell in line] for line in lines]
    told = [(room, allowed) for rooms, allowed in names for room in rooms]
    assert sorted((room, sorted(allowed)) for room, allowed in told) == sorted(
        (room, sorted(allowed)) for room, allowed in FLOORS.items()
    )
    laid = set()
    for room, allowed in told:
        missing = {room_of(name) for name in allowed} - laid
        assert all(within(room, one) for one in missing), f"{room} stands above {missing}"
        laid.add(room_of(room))


def test_the_design_names_what_exists():
    tops = "|".join({name.split(".")[0] for name in MODULES if name})
    found = set(re.findall(rf"(?<![\w./])(?:{tops})\.\w[\w.]*\w", DESIGN))
    names = {name for name in found if not name.endswith(".py")}
    assert len(names) > 60 and not {name for name in names if not defined(name)}
    tree = DESIGN.partition("```text\n")[2].partition("```")[0]
    folders = {name.split(".")[-1] for name in MODULES if name and is_folder(name)}
    assert set(re.findall(r"^ *(\w+)/", tree, re.M)) == folders | {HOUSE, "tests"}


def test_the_table_holds_no_circle_and_nothing_forbidden():
    graph = {room_of(name): set() for name in FLOORS}
    for name, allowed in FLOORS.items():
        for target in allowed:  # an inner room may name modules around it: no circle of modules
            around = room_of(name).startswith(f"{room_of(target)}.") and not is_folder(target)
            graph[room_of(name)] |= set() if around else {room_of(target)}
    graphlib.TopologicalSorter(graph).prepare()

    def leads(room, *targets):
        return any(within(one, target) for one in graph[room] for target in targets)

    for room in graph:
        outer = room.split(".")[0]
        assert not leads(room, *NEVER.get(outer, ()))
        assert outer in DOORS or not leads(room, *DOORS), f"{room} goes through a door"
        assert outer in OUTSIDE or not leads(room, *OUTSIDE)


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


def test_one_module_unpickles_what_others_wrote():
    """A pickle is a program; others here only carry one between processes of this house."""
    unpickling = {
        name
        for name, tree in TREES.items()
        if any(within(imported, "pickle") for imported, _ in imports(tree))
    }
    assert {name for name in unpickling if within(name, "weights")} == UNPICKLING


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
