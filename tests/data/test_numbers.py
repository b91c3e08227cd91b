from typing import Any

import numpy as np
import pytest

from delineate.data.numbers import column, flag, flags, identifier, identifiers, number, numbers, table, whole
from delineate.values import InputError

NAN, INFINITY = float("nan"), float("inf")


def row(index: int) -> str:
    return f"row {index}"


@pytest.mark.parametrize(("value", "read"), [(3, 3.0), ("996.0", 996.0), (" -1e2 ", -100.0), (2.5, 2.5)])
def test_a_number_may_be_a_text(value: Any, read: float) -> None:
    assert number(value, "here") == read
    assert numbers([value, 1], "here", 2) == [read, 1]


@pytest.mark.parametrize("value", [None, True, "", "a", [], {}, NAN, INFINITY, "nan", "-inf", 10**400])
def test_what_is_no_finite_number_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InputError, match=r"^row 1: .* is (no number|not finite)$"):
        number(value, "row 1")
    with pytest.raises(InputError, match=r"^row 1: .* is (no number|not finite)$"):
        column([2, value, "x"], row)
    with pytest.raises(InputError, match=r"^row 1: .* is (no number|not finite)$"):
        table([[2, 3], [4, value], ["x", None]], row, 2)
    with pytest.raises(InputError, match=r"^row 1: .* is (no number|not finite)$"):
        table([[2, 3], [4, value]], row, 2)


@pytest.mark.parametrize(("value", "read"), [("3", 3), (3.0, 3), ("3.0", 3), (-2, -2)])
def test_a_whole_number_may_be_written_as_a_fraction(value: Any, read: int) -> None:
    assert whole(value, "here") == read
    with pytest.raises(InputError, match=r"here: 0\.5 is no whole number"):
        whole(0.5, "here")


@pytest.mark.parametrize("value", [1, "1", "true", "Yes", 1.0, True, 2])
def test_what_is_true(value: Any) -> None:
    assert flag(value, "here")
    assert flags([0, value], row) == [False, True]


@pytest.mark.parametrize("value", [0, "0", "false", "", None, 0.0, False])
def test_what_is_false(value: Any) -> None:
    assert not flag(value, "here")
    assert flags([1, value], row) == [True, False]


@pytest.mark.parametrize(
    ("value", "read"), [(7, 7), ("7", 7), (7.0, 7), ("7.0", 7), ("-7", -7), ("a7", "a7"), ("1e3", "1e3")]
)
def test_an_id_is_a_whole_number_or_a_text(value: Any, read: int | str) -> None:
    assert identifier(value, "here") == read
    assert identifiers([1, value], row) == [1, read]


@pytest.mark.parametrize("value", [None, True, "", " ", [7], {}, 7.5, NAN])
def test_what_is_no_id_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(InputError, match=r"^row 1: "):
        identifiers([1, value], row)


def test_many_numbers_are_read_at_once_and_one_by_one() -> None:
    assert np.array_equal(table([[1, "2"], [3.0, 4]], row, 2), [[1, 2], [3, 4]])
    assert table([], row, 4).shape == (0, 4)
    assert column([1, "2", 3.5], row).tolist() == [1, 2, 3.5]
    with pytest.raises(InputError, match=r"row 1: \[3\] is not a list of 2 numbers"):
        table([[1, 2], [3]], row, 2)
    with pytest.raises(InputError, match=r"row 0: \[1, 2\] is no number"):
        column([[1, 2], [3, 4]], row)
