"""What belongs together is dealt to parts so that each class comes close to the parts' shares."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int64

from delineate.data.dividing.grouping import groups_of
from delineate.values import InputError, counted


def dealt(
    amounts: Int64[np.ndarray, "n c"], numbers: Int64[np.ndarray, " n"], shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Deal the groups of pictures with these numbers to the parts; gives the pictures of each.

    Raises `InputError` where a part would be empty.
    """
    groups = groups_of(numbers)
    sums = np.stack([np.append(amounts[group].sum(0), len(group)) for group in groups]).astype(np.float64)
    places = stratified(sums, np.array(list(shares.values())), seed)[numbers]
    parts = {name: np.flatnonzero(places == place).tolist() for place, name in enumerate(shares)}
    for name, rows in parts.items():
        if not rows:
            raise InputError(
                f"{name}: no picture would be left for it: of {counted(len(numbers), 'picture')} in "
                f"{counted(len(groups), 'group')}, the largest group has {max(map(len, groups))}; give it a larger "
                f"share than {shares[name]:g}, or group otherwise (--group, --duplicates apart)"
            )
    return parts


def stratified(
    amounts: Float64[np.ndarray, "n c"], shares: Float64[np.ndarray, " p"], seed: int
) -> Int64[np.ndarray, " n"]:
    """Deal things to parts, so that each part gets its share of every amount; the last amount is what every thing has.

    The rarest class that is left is dealt next, as it is the hardest to share (Sechidis et al. 2011, On the
    Stratification of Multi-Label Data, Algorithm 1). A thing goes to the part that is the furthest behind, as
    Sainte-Laguë deals seats, and not to the one that lacks most, where the largest part would get all that come first.
    Things with more go first, so that each part gets its share of large and small ones, too; a part that has its share
    of the last amount gets more where all have.
    """
    order = np.random.default_rng(seed).permutation(len(amounts))
    most = (shares * amounts[:, -1].sum()).round().clip(min=1)
    given = np.zeros((len(shares), amounts.shape[1]))
    parts = np.full(len(amounts), -1, dtype=np.int64)
    while (parts < 0).any():
        left = order[parts[order] < 0]
        counts = (amounts[left, :-1] > 0).sum(0)
        column = int(np.where(counts > 0, counts, len(amounts) + 1).argmin()) if counts.any() else -1
        having = left[amounts[left, column] > 0]
        magnitude = np.floor(np.log2(amounts[having, column]))  # in twofold steps: within them the seed decides
        for thing in having[np.argsort(-magnitude, kind="stable")]:
            behind = shares[:, None] / (given + amounts[thing] / 2 + 1e-12)
            has_room = given[:, -1] + amounts[thing, -1] / 2 <= most
            parts[thing] = np.lexsort((behind[:, -1], behind[:, column], has_room))[-1]
            given[parts[thing]] += amounts[thing]
    return parts
