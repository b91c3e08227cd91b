"""A run shows one line that moves, and one that stays for every epoch."""

import resource
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class Display:
    """A display shows progress on stderr: a bar in a terminal, plain lines elsewhere, nothing when `silent`."""

    def __init__(self, *, silent: bool = False) -> None:
        self.console = Console(stderr=True, quiet=silent, highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TextColumn("{task.fields[left]}", style="progress.remaining"),
            console=self.console,
            transient=True,
            refresh_per_second=4,
            disable=silent or not self.console.is_terminal,
        )
        self.bar = self.progress.add_task("reading", total=1.0, facts="", left="")

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def line(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def step(self, place: str, share: float, seconds_left: float | None, facts: Mapping[str, str]) -> None:
        """Move the bar to `share` of the run."""
        if self.progress.disable:
            return
        shown = "  ".join(f"{name} {value}" for name, value in facts.items())
        left = "" if seconds_left is None else f"{clock(seconds_left)} left"
        self.progress.update(self.bar, description=place, completed=share, facts=shown, left=left)

    def watch(self, title: str, batches: Iterable[Any]) -> Iterator[Any]:
        """Pass the batches on and count them beside the title."""
        total = len(batches) if isinstance(batches, Sized) else 0
        for number, batch in enumerate(batches, start=1):
            self.progress.update(self.bar, facts=f"{title} {number}/{total}")
            yield batch


def clock(seconds: float) -> str:
    """Write a duration as `1:02:03` or `2:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def memory(device: torch.device) -> str:
    """Measure the most memory that was used so far, of a GPU or of this process."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{peak * (1 if sys.platform == 'darwin' else 1024) / 2**30:.1f} GiB"
