"""A Secret as Kubernetes mounts it: files are links through `..data`, which is replaced as one
(pkg/volume/util/atomic_writer.go)."""

import os
from pathlib import Path


class SecretMount:
    """A directory with a file for each key; what another one has put there is replaced."""

    def __init__(self, directory: Path, **values: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._values: dict[str, str] = {}
        self.change(**values)

    def change(self, **values: str) -> None:
        """What `kubectl apply` of a Secret with these values comes to; other keys stay."""
        self._values |= values
        written = self.directory / f"..2026_{len([*self.directory.glob('..2026_*')]) + 1}"
        written.mkdir()
        for name, value in self._values.items():
            (written / name).write_text(value)
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(Path("..data", name))
        new = self.directory / "..data_tmp"
        new.symlink_to(written.name)
        os.replace(new, self.directory / "..data")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name its files."""
        return {f"{name}_FILE": str(self.directory / name) for name in self._values}
