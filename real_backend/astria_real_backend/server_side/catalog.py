"""Which base model a `base_tune_id` stands for, and whether its weights are on this machine.

Nothing here loads a model, and only `Catalogue.fetch` downloads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from astria_emulator import SetupError
from astria_real_backend.server_side.bases import BUILT_IN, TOY, Base
from astria_real_backend.server_side.bases_toml import read_toml
from astria_real_backend.server_side.hub import (
    INDEX,
    NEEDS,
    absence_of,
    cache_folder,
    cached_folder,
    download,
)


@dataclass(frozen=True)
class Catalogue:
    """The base models by id. cache: a folder of the hub's files, None for its own choice."""

    bases: Mapping[int, Base]
    cache: Path | None = None

    @classmethod
    def read(
        cls, path: Path | None = None, *, toy: bool = False, cache: Path | None = None
    ) -> "Catalogue":
        """The built-in models, and those of a TOML file.

        toy: the default of sd15 is the bundled toy base, whatever the file says.
        Raises SetupError.
        """
        bases = {base.tune_id: base for base in BUILT_IN}
        if path:
            bases |= read_toml(path, bases)
        if toy:
            bases[TOY.tune_id] = TOY
        return cls(dict(sorted(bases.items())), cache)

    def rows(self) -> Iterator[tuple[Base, str | None]]:
        """Every base by id, with why it cannot be used, if so."""
        return ((base, self.absence(base)) for base in self.bases.values())

    def absence(self, base: Base) -> str | None:
        """Why a base cannot be loaded without a network, or None where it can."""
        try:
            path = self._path(base)
        except ImportError:
            return f"looking for it {NEEDS}"
        if path is None:
            cache = self.cache or cache_folder()
            return f"not in {cache}; `astria-emulator models --fetch {base.tune_id}` gets it"
        is_alone = path.is_file() and not (Path(base.config) / INDEX).is_file()
        lacking = f"config {base.config!r}: expected a folder with {INDEX}"
        return absence_of(path) or (lacking if is_alone else None)

    def locate(self, base: Base) -> Path:
        """The folder or the file of a base.

        Raises LookupError, which says why it cannot be used.
        """
        absence, path = self.absence(base), self._path(base)
        if absence or path is None:
            raise LookupError(f"base {base.tune_id} {base.source}: {absence}")
        return path

    def fetch(self, base: Base) -> Path:
        """Download what is missing, with the hub's bars on standard error; returns the folder.

        Raises SetupError.
        """
        if self.absence(base) and not base.is_local:
            if reason := download(base, self.cache):
                raise SetupError("models", [f"base {base.tune_id} {base.source}: {reason}"])
        try:
            return self.locate(base)
        except LookupError as error:
            raise SetupError("models", [str(error)]) from None

    def _path(self, base: Base) -> Path | None:
        """Where a base is; None where it is not in the hub's cache."""
        return Path(base.source) if base.is_local else cached_folder(base, self.cache)
