"""Quantities as the API server writes them."""

import pytest

from firewatch.build.quantities import (
    canonical_quantities,
    canonical_quantity,
    quantity_bytes,
    show_bytes,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("1", "1"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.0001", "100u"),
        ("2000", "2k"),
        ("100M", "100M"),
        ("1000M", "1G"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.1Gi", "107374182400m"),
        ("10Gi", "10Gi"),
        ("1024", "1024"),
        ("0Gi", "0"),
    ],
)
def test_canonical_forms(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical
    assert canonical_quantity(canonical) == canonical


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        canonical_quantity("ten")


def test_a_map_of_quantities_is_sorted() -> None:
    found = canonical_quantities({"memory": "1024Mi", "cpu": "0.5"})
    assert list(found.items()) == [("cpu", "500m"), ("memory", "1Gi")]


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "0.98Ki"),
        (1024, "1Ki"),
        (123_456, "121Ki"),
        (12.34 * 2**30, "12.3Gi"),
        (100 * 2**30, "100Gi"),
        (999.9 * 2**20, "0.98Gi"),
        (-5, "0"),
    ],
)
def test_bytes_are_shown_in_three_digits_and_read_back(amount: float, shown: str) -> None:
    assert show_bytes(amount) == shown
    assert abs(quantity_bytes(shown) - max(0, amount)) <= 0.01 * abs(amount) + 5


@pytest.mark.parametrize(
    ("text", "amount"), [("1Gi", 2**30), ("1.5Ki", 1536), ("2G", 2 * 10**9), ("7", 7)]
)
def test_quantities_of_storage_in_bytes(text: str, amount: int) -> None:
    assert quantity_bytes(text) == amount
