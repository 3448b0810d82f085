"""What .ci/run asks of what is installed: a wheel made of the sdist, small, that restores a photo.

python .ci/packed.py build DIST       in a checkout: sdist and wheel, and what they weigh
python .ci/packed.py check RESTORED   what `oldphoto restore --sample` has written
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

from setuptools import build_meta

MOST = 40e6  # bytes, weights included
MADE = {"PKG-INFO", "setup.cfg"}  # by setuptools, beside oldphoto_jax.egg-info


def build(dist: pathlib.Path) -> None:
    """Builds the sdist from the checkout, and the wheel from the sdist alone."""
    dist.mkdir()
    sdist = dist / build_meta.build_sdist(str(dist), {"--global-option": ["--quiet"]})
    with tarfile.open(sdist) as archive:
        names = {m.name.partition("/")[2] for m in archive if m.isfile()}
    packed = {name for name in names - MADE if ".egg-info/" not in name}
    if packed != (here := checkout()):
        sys.exit(
            f"the sdist lacks {sorted(here - packed)} and has {sorted(packed - here)} "
            "besides; mend MANIFEST.in"
        )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, f"--wheel-dir={dist}", str(sdist)], check=True)
    [wheel] = dist.glob("*.whl")
    for file in (sdist, wheel):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    if wheel.stat().st_size > MOST:
        sys.exit(f"{wheel.name} has more than {MOST / 1e6:.0f} MB")


def checkout() -> set[str]:
    """Every file of the checkout but those that Git ignores."""
    lines = pathlib.Path(".gitignore").read_text("utf-8").split()
    ignored = shutil.ignore_patterns(".git", *(line.rstrip("/") for line in lines))
    found = set()
    for folder, folders, files in os.walk("."):
        folders[:] = set(folders) - ignored(folder, folders)
        files = set(files) - ignored(folder, files)
        found |= {os.path.relpath(os.path.join(folder, file)) for file in files}
    return found


def check(out: pathlib.Path) -> None:
    """Exits with what is wrong unless the sample is restored and its pictures are there."""
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").splitlines()]
    if [line["status"] for line in lines] != ["ok"]:
        sys.exit(f"the sample is not restored: {lines}")
    [files] = [line["files"] for line in lines]
    missing = [name for name in files.values() if not (out / name).is_file()]
    if missing or not files.keys() >= {"mask", "restored", "restored_color", "color"}:
        sys.exit(f"of {files} these were not made: {missing}")
    print("ok:", *sorted(files.values()))


if __name__ == "__main__":
    {"build": build, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
