"""What a loaded model can be made again from in another process: its file, or what was read where there is no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import ModelConfig
from ..errors import ModelFileError
from ..modelfile import ModelFile, read
from ..text import plain, reason


@dataclass(frozen=True)
class ModelPath:
    """A model's file as it was when it was read, and the description of one that has none of its own."""

    path: Path
    config: ModelConfig | None
    state: tuple[int, int]  # bytes, and nanoseconds of its last change

    @classmethod
    def of(cls, path: Path, config: ModelConfig | None) -> ModelPath:
        """The file as it is now. Raises `ModelFileError` if it cannot be looked at."""
        return cls(path.absolute(), config, _state(path))

    def read(self) -> ModelFile:
        """Read the model, mapped. Raises `ModelFileError`, also if the file is not as it was."""
        if _state(self.path) != self.state:
            raise ModelFileError(f"{plain(self.path)} has changed since the model was loaded from it: load it again")
        return read(self.path, self.config, mapped=True)


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{plain(path)}: cannot be read: {reason(error)}") from None
    return found.st_size, found.st_mtime_ns
