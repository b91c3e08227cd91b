"""A trained system in one file: safetensors whose header says, as JSON, everything needed to use it again."""

import importlib.metadata
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from delineate.catalog import build
from delineate.models.contract import Model
from delineate.structures import Categories, InputError, Preprocess
from delineate.structures.files import written_beside


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model with its system's name and arguments, class names, preprocessing and what it measured."""

    model: Model[Any, Any]
    system: str
    arguments: dict[str, Any]
    categories: Categories
    preprocess: Preprocess
    metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=lambda: _versions())


def save_checkpoint(file: Path, checkpoint: Checkpoint, weights: dict[str, Tensor] | None = None) -> None:
    """Write `file` (.safetensors) and the same facts as JSON beside it, each whole or not at all.

    `weights` stand in for the model's own, such as their moving average.
    """
    facts = {
        "system": checkpoint.system,
        "arguments": checkpoint.arguments,
        "categories": asdict(checkpoint.categories),
        "preprocess": asdict(checkpoint.preprocess),
        "metrics": checkpoint.metrics,
        "versions": checkpoint.versions,
    }
    state = weights if weights is not None else checkpoint.model.state_dict()
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    with written_beside(file) as beside:
        beside.write_bytes(safetensors.torch.save(tensors, metadata={"delineate": json.dumps(facts)}))
    with written_beside(file.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n")


def check_new_run(folder: Path) -> None:
    """Raise `InputError` where `folder` has a run, or weights, in it already."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: {folder} is a file; name a folder")
    for name in ("settings.json", "best.safetensors", "last.safetensors"):
        if (folder / name).exists():
            raise InputError(f"out: {folder} is a run already ({name}); name another folder")


def save_run(folder: Path, checkpoint: Checkpoint) -> None:
    """Write weights that were not trained here as the best and the last of a run; raises as `check_new_run` does."""
    check_new_run(folder)
    for name in ("best", "last"):
        save_checkpoint(folder / f"{name}.safetensors", checkpoint)


def find_checkpoint(run: Path, weights: str = "best") -> Path:
    """The file of weights that a run folder, or the file itself, stands for; raises `InputError` when there is none."""
    if run.is_file():
        return run
    if not run.is_dir():
        raise InputError(f"{run}: no such run; give the folder that `delineate train` wrote, or a .safetensors file")
    file = run / f"{weights}.safetensors"
    if not file.is_file():
        raise InputError(f"{run}: not a run folder with weights (looked for {file.name}, which training writes)")
    return file


def load_checkpoint(file: Path) -> Checkpoint:
    """Build the system that `file` holds, in evaluation mode on the CPU.

    Raises `InputError` naming the file when it is missing, is no checkpoint of ours, or does not fit its system.
    """
    with _opened(file) as opened:
        facts = _facts(file, opened)
        weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  (not a dict)
    categories = Categories(**{key: _tuples(value) for key, value in facts["categories"].items()})
    model = build(facts["system"], categories, **facts["arguments"])
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{file}: its weights do not fit {facts['system']} ({reason})") from error
    return Checkpoint(
        model=model.eval(),
        system=facts["system"],
        arguments=facts["arguments"],
        categories=categories,
        preprocess=Preprocess(**{key: _tuples(value) for key, value in facts["preprocess"].items()}),
        metrics=facts["metrics"],
        versions=facts["versions"],
    )


def read_facts(file: Path) -> dict[str, Any]:
    """What `file` says of its system, its weights unread: the JSON beside it. Raises as `load_checkpoint` does."""
    with _opened(file) as opened:
        return _facts(file, opened)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise InputError(f"{file}: no such checkpoint; give a run folder or a .safetensors file written by a run")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            yield opened
    except safetensors.SafetensorError as error:
        raise InputError(f"{file}: not a whole safetensors file ({error})") from error


def _facts(file: Path, opened: Any) -> dict[str, Any]:
    header = opened.metadata() or {}
    if "delineate" not in header:
        raise InputError(f"{file}: not a checkpoint of delineate (weights of a backbone go to --backbone-weights)")
    facts: dict[str, Any] = json.loads(header["delineate"])
    return facts


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("delineate", "torch", "torchvision", "timm")}
