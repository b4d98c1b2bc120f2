"""What ``--on`` says, read and written again, and refused where it says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import RefusedError
from reasonkit.plan.devices import CPU, DEVICES, Cluster, parse

CLUSTERS = st.builds(
    Cluster,
    st.integers(1, 10**4),
    st.integers(1, 64),
    st.sampled_from([*DEVICES, CPU]),
)


@given(CLUSTERS)
def test_what_is_written_is_read_again(on: Cluster) -> None:
    assert parse(str(on)) == on


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("H100", Cluster(1, 1, "H100")),
        ("4x A100-40GB", Cluster(1, 4, "A100-40GB")),
        ("2x8xh200", Cluster(2, 8, "H200")),
        (" 2 x 8 x RTX4090 ", Cluster(2, 8, "RTX4090")),
        ("64xH100", Cluster(8, 8, "H100")),
        ("1x16xH100", Cluster(1, 16, "H100")),
    ],
)
def test_spaces_and_cases_do_not_count(text: str, on: Cluster) -> None:
    assert parse(text) == on


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8xH1000", "unknown device 'H1000': did you mean H100"),
        ("8xA100", "did you mean .*A100-80GB"),
        ("8xTPU-v5e", r"unknown device 'TPU-v5e': known: A10, .*, cpu \(--on 8xTPU-v5e\)"),
        ("0xH100", "expected COUNTxDEVICE"),
        ("8*H100", "expected COUNTxDEVICE"),
        ("x8xH100", "unknown device"),
        ("8", "expected COUNTxDEVICE"),
        ("12xH100", "in how many machines"),
        ("", "expected COUNTxDEVICE"),
    ],
)
def test_what_names_no_devices_is_refused_with_what_would(text: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        parse(text)


def test_more_devices_fill_machines_of_eight() -> None:
    asked = Cluster(1, 4, "L4")
    assert [str(asked.of(count)) for count in (1, 4, 8, 64)] == ["1xL4", "4xL4", "8xL4", "8x8xL4"]
