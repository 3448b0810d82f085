import pathlib
import types

import jax
import pytest
from absl import flags
from ml_collections import config_flags

from oldphoto_jax import main
from oldphoto_jax.models import lite_unet
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train.config import to_text
from oldphoto_jax.train.log import NonFiniteLoss

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
SEGMENT = str(pathlib.Path(__file__).parent.parent / "configs" / "segment.py")


def parse(monkeypatch, *arguments, file=SEGMENT):
    """The configuration that these flags make."""
    argv = ["main", f"--config={file}", *arguments]
    monkeypatch.setattr("sys.argv", argv)  # where ml_collections looks for changed fields
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    values(argv)
    return values.config


OVERRIDES = {
    "--config.task.size=48": lambda config: config.task.size == 48,
    "--config.optimizers.segmenter.rate=1e-4": lambda c: c.optimizers["segmenter"].rate == 1e-4,
    '--config.optimizers.segmenter.betas="(0.5,0.9)"'.replace('"', ""): (
        lambda config: config.optimizers["segmenter"].betas == (0.5, 0.9)
    ),
    "--config.photos=some/folder": lambda config: config.photos == "some/folder",
    "--config.validation=": lambda config: config.validation == "",
    "--config.task.damage.textures=DIR": lambda config: config.task.damage.textures == "DIR",
    "--config.task.weight.dice=0.5": lambda config: config.task.weight["dice"] == 0.5,
    "--config.task.enlarge=(1.0,1.5)": lambda config: config.task.enlarge == (1.0, 1.5),
    "--config.task.network.norm=batch": lambda config: config.task.network.norm == "batch",
    "--config.precision=float32": lambda config: config.precision == "float32",
    "--config.tensorboard": lambda config: config.tensorboard is True,
    "--config.workers=3": lambda config: config.workers == 3,
}


@pytest.mark.parametrize(("flag", "holds"), OVERRIDES.items(), ids=OVERRIDES)
def test_every_kind_of_field_can_be_changed(flag, holds, monkeypatch):
    assert not holds(parse(monkeypatch))
    config = parse(monkeypatch, flag)
    assert holds(config)
    config.check()
    to_text(config)


def test_a_file_may_take_a_variant(monkeypatch):
    assert parse(monkeypatch, file=f"{SEGMENT}:lite").task.network == lite_unet.Blueprint()
    with pytest.raises(flags.Error, match="no variant 'heavy'; choose 'article', 'lite',"):
        parse(monkeypatch, file=f"{SEGMENT}:heavy")


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--config.nonsense=1", "nonsense"),
        ("--config.task.sise=48", "sise"),
        ("--config.task.damage.colour=1", "colour"),
        ("--config.task.network.wdith=8", "wdith"),
        ("--config.optimizers.painter.rate=1", "painter"),
        ("--config.task.weight.dise=0.5", "dise"),
    ],
)
def test_a_misspelt_field_is_named(flag, name, monkeypatch):
    with pytest.raises((AttributeError, KeyError, flags.Error), match=name):
        parse(monkeypatch, flag)


def test_a_value_of_the_wrong_type_is_refused(monkeypatch):
    with pytest.raises(flags.Error, match="config.task.size=big"):
        parse(monkeypatch, "--config.task.size=big")


WORKDIRS = {
    "configs/colorize.py": "runs/colorize",
    "configs/segment.py:lite": "runs/segment-lite",
    "/anywhere/else/x.py:variant": "runs/x-variant",
    "C.py:a=1,b=(2, 3)": "runs/C-a=1_b=_2__3_",
    "x.py:../../etc:y": "runs/x-.._.._etc_y",
    "x.py:Größe": "runs/x-Größe",
    "x.py:" + "a" * 300: "runs/x-" + "a" * (main.LONGEST - 2),
}


@pytest.mark.parametrize(("named", "workdir"), WORKDIRS.items(), ids=WORKDIRS.values())
def test_a_run_without_a_folder_gets_one_of_its_name(named, workdir):
    assert main.default_workdir(named) == workdir
    assert (
        pathlib.PurePath(workdir).parts[0] == "runs" and len(pathlib.PurePath(workdir).parts) == 2
    )


@pytest.fixture
def door(monkeypatch):
    """`main` with flags that were parsed: door(error=..., coordinator=...)."""

    def open_door(error=None, **given):
        def run(config, workdir):
            folder = values["workdir"] or "runs/the_folder-v"
            assert (config, workdir) == ("the config", folder)
            if error:
                raise error
            return {}

        names = ("distributed", "coordinator", "processes", "process")
        values = dict.fromkeys(names) | {"config": "the config", "workdir": "the folder"} | given
        named = types.SimpleNamespace(get_config_filename=lambda flag: "configs/the folder.py:v")
        monkeypatch.setattr(main, "config_flags", named)
        monkeypatch.setattr(main.flags, "FLAGS", {"config": None})
        for name, value in values.items():
            monkeypatch.setattr(main, f"_{name.upper()}", types.SimpleNamespace(value=value))
        monkeypatch.setattr(main, "train", run)
        joined = []
        initialize = lambda **where: joined.append(where)  # noqa: E731
        monkeypatch.setattr(jax.distributed, "initialize", initialize)
        main.main(["main"])
        return joined

    return open_door


def test_processes_join_only_when_told(door):
    assert door() == []
    assert door(distributed=True) == [{}]
    where = {"coordinator_address": "here:1", "num_processes": 2, "process_id": 0}
    assert door(coordinator="here:1", processes=2, process=0) == [where]


def test_the_folder_that_was_not_named_is_told(door, capsys):
    door()
    assert capsys.readouterr().err == ""
    door(workdir=None)
    [line] = capsys.readouterr().err.splitlines()
    assert line == "oldphoto_jax: without --workdir, the run lives in runs/the_folder-v"


def test_half_an_address_is_refused(door, capsys):
    with pytest.raises(SystemExit) as end:
        door(coordinator="here:1", process=0)
    assert end.value.code == 1
    assert "belong together; missing: num_processes" in capsys.readouterr().err


ERRORS = [
    ValueError("bad value"),
    FileNotFoundError("no file"),
    NotADirectoryError("no folder"),
    PermissionError("not yours"),
    ModuleNotFoundError("no extra"),
    NonFiniteLoss("loss broke"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_our_errors_are_one_line(error, door, capsys, monkeypatch):
    with pytest.raises(SystemExit) as end:
        door(error=error)
    assert end.value.code == 1
    assert capsys.readouterr().err == f"oldphoto_jax: {error}\n"
    monkeypatch.setenv("OLDPHOTO_DEBUG", "1")
    with pytest.raises(type(error)):
        door(error=error)


def test_other_errors_keep_their_traceback(door):
    with pytest.raises(ZeroDivisionError):
        door(error=ZeroDivisionError())


def test_the_docstring_names_flags_that_exist():
    named = {"config", "workdir", "distributed", "coordinator", "processes", "process"}
    assert all(f"--{name}" in main.__doc__ for name in named)
    assert all(name in flags.FLAGS for name in named)
    assert isinstance(Segment(), main.Config.__annotations__["task"])
