"""The models that mark pictures are somebody else's to hold: a server's, or one that was loaded."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from delineate.artefact import load_system
from delineate.system.system import System


@runtime_checkable
class Models(Protocol):
    """Models go by names; one can be replaced while it is used, and there may be none at first."""

    def names(self) -> Sequence[str]:
        """Name the models, the one that is trained on first."""

    def system(self, name: str) -> System:
        """Give the system of a name, ready for use; raises `LookupError` where there is none."""

    def run(self, name: str) -> Path:
        """Say which run, or export, it was loaded from."""

    def replace(self, name: str, run: Path) -> None:
        """Load a run, and let it take the place of the model of that name, or be a new one."""


class OneModel:
    """One model is loaded into this process, or none yet."""

    def __init__(self, name: str | None = None, run: str | Path | None = None, *, device: str = "auto") -> None:
        self.device = device
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Path, System]] = {}
        if name is not None and run is not None:
            self.replace(name, Path(run))

    def names(self) -> Sequence[str]:
        return list(self._held)

    def system(self, name: str) -> System:
        return self._held[name][1]

    def run(self, name: str) -> Path:
        return self._held[name][0]

    def replace(self, name: str, run: Path) -> None:
        system = load_system(run, device=self.device)
        with self._lock:
            self._held = {**self._held, name: (run, system)}
