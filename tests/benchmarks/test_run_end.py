"""The memory that a driver takes at the end of a run doesn't grow with the run.

A million pairs are ``make benchmark-run-end`` too, which leaves a record.
"""

import pytest
from bench_run_end import measured

MOST_MB = 450


@pytest.mark.long
@pytest.mark.parametrize("pairs", [100_000, 1_000_000], ids=["1e5", "1e6"])
def test_the_end_of_a_run_is_bounded_whatever_its_size(pairs: int) -> None:
    found = measured(pairs, vain=0.45, long=25)  # some 2 kB of reasons for each
    assert found["driver_mb_more"] < MOST_MB
    assert found["summary_kb"] < 600
    counts = found["counts"]
    assert counts["unpaired"] == pairs // 2
    for name in ("failures", "undone_pairs"):
        assert counts[name] == pytest.approx(0.45 * pairs, rel=0.05)
    assert counts["remarks"] == pytest.approx(0.1 * pairs, rel=0.05)
    assert found["retries"] == pairs
    assert len(found["shown"]) == 12
    assert found["shown"] == sorted(found["shown"])
