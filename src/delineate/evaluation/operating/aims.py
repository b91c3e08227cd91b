"""An aim says which of all scores to take objects from: every one of them is worth so much.

S  scores, descending, from which on objects could be taken    B  other draws of the same pictures
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64

from delineate.values import InputError

Name = Literal["f1", "precision", "recall", "cost"]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """`f1` is the best F1; `precision` the most recall with at least so much precision, and `recall` the reverse.

    `cost` is the least of `missed` for each object that is missed and `wrong` for each detection that is none. Raises
    `InputError` for a share outside of 0..1, and for costs that are negative or all 0.
    """

    name: Name = "f1"
    share: float = 0.0
    missed: float = 1.0
    wrong: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"for: {self.name}={self.share:g} is no share in 0..1, such as {self.name}=0.9")
        if min(self.missed, self.wrong) < 0 or not self.missed + self.wrong > 0:
            raise InputError(f"for: cost={self.missed:g}:{self.wrong:g} has a cost below 0, or none; give cost=5:1")

    @classmethod
    def read(cls, text: str) -> "Aim":
        """Read `f1`, `precision=0.9`, `recall=0.95` or `cost=5:1`; raises `InputError` for anything else."""
        name, _, value = text.partition("=")
        try:
            if name == "f1" and not value:
                return cls()
            if name == "precision":
                return cls(name="precision", share=float(value))
            if name == "recall":
                return cls(name="recall", share=float(value))
            if name == "cost":
                missed, wrong = map(float, value.split(":"))
                return cls(name="cost", missed=missed, wrong=wrong)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
        known = ", ".join(get_args(Name))
        raise InputError(f"for: '{text}' is no aim ({known}); give f1, precision=0.9, recall=0.95 or cost=5:1")

    def __str__(self) -> str:
        if self.name == "cost":
            return f"cost={self.missed:g}:{self.wrong:g}"
        return self.name if self.name == "f1" else f"{self.name}={self.share:g}"

    def worth(
        self,
        right: Float64[np.ndarray, "*b s"],
        taken: Float64[np.ndarray, "*b s"],
        num_objects: Float64[np.ndarray, "*b 1"],
    ) -> Float64[np.ndarray, "*b s"]:
        """Say how good it is to take objects from each score on; where the aim is not reached it is below 0.

        Of `taken` detections so many are `right`. Of scores of equal worth the highest is meant, which comes first.
        """
        precision, recall = shares(right, taken, num_objects)
        if self.name == "f1":
            return f1_of(right, taken, num_objects)
        if self.name == "cost":
            return np.asarray(-self.missed * (num_objects - right) - self.wrong * (taken - right))
        if self.name == "recall":
            return np.where(recall >= self.share, precision, recall - 2)
        return np.where((precision >= self.share) & (taken > 0), recall, np.where(taken > 0, precision, 0) - 2)

    def reached(self, worth: float) -> bool:
        """Tell whether what has this worth reaches the aim, which something right does of F1, and anything of costs."""
        return self.name == "cost" or worth > 0


def f1_of(
    right: Float64[np.ndarray, "*b s"], taken: Float64[np.ndarray, "*b s"], num_objects: Float64[np.ndarray, "*b 1"]
) -> Float64[np.ndarray, "*b s"]:
    """Compute the harmonic mean of precision and recall."""
    return np.asarray(2 * right / np.maximum(taken + num_objects, 1))


def shares(
    right: Float64[np.ndarray, "*b s"], taken: Float64[np.ndarray, "*b s"], num_objects: Float64[np.ndarray, "*b 1"]
) -> tuple[Float64[np.ndarray, "*b s"], Float64[np.ndarray, "*b s"]]:
    """Compute precision, 1 where nothing is taken, and recall, 0 where there is no object."""
    precision = np.where(taken > 0, right / np.maximum(taken, 1), 1.0)
    return precision, right / np.maximum(num_objects, 1)
