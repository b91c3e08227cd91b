"""What a run began with, it goes on with: its names, and how its pictures are normalised."""

from dataclasses import dataclass
from typing import Any

from delineate.data.preprocess import Preprocess
from delineate.data.splits import check_names
from delineate.system.catalog import find_entry
from delineate.system.checkpoint import read_facts
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError


@dataclass(frozen=True)
class Begun:
    """A run whose state was saved began with these."""

    categories: Categories
    preprocess: Preprocess

    @classmethod
    def of(cls, run: Run, saved: dict[str, Any]) -> "Begun":
        """Take what the state of a run says; where an earlier version saved it, its weights do."""
        if "categories" not in saved:
            facts = read_facts(run.last)
            return cls(facts.categories, facts.preprocess)
        return cls(Categories(**saved["categories"]), Preprocess(**saved["preprocess"]))

    def check(self, settings: TrainingSettings, categories: Categories) -> None:
        """Raise `InputError`, naming the first that differs, where classes or keypoints have other names now."""
        task, run = find_entry(settings.model).task, settings.out
        try:
            check_names(self.categories, categories, task, str(settings.data))
        except InputError as error:
            raise InputError(
                f"{error}; give the data its names back, or begin a new run with what was learned: --weights {run}"
            ) from None
