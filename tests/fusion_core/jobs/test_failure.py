import pytest

from fusion_core.errors import DeadlineError
from fusion_core.jobs.failure import SceneDeadline, deadline_error


@pytest.mark.parametrize(
    ("size", "earlier", "in_time"),
    [
        ((10_000, 10_000), 99.0, True),
        ((10_000, 10_000), 101.0, False),
        ((10_000, 10_001), 199.0, True),  # the second 100 megapixels are begun
        ((10_000, 10_001), 201.0, False),
        ((1, 1), 99.0, True),
    ],
)
def test_a_scene_may_take_as_long_for_every_100_megapixels_begun(
    size: tuple[int, int], earlier: float, in_time: bool
) -> None:
    deadline = SceneDeadline(100.0, size, {"read": earlier})
    if in_time:
        deadline.check()
    else:
        with pytest.raises(DeadlineError, match=r"given up in the stage fuse \(read \d+.0 s, fuse"):
            deadline.check()


def test_the_error_says_where_and_how_long_and_what_to_do() -> None:
    error = deadline_error("write", {"read": 1.0, "write": 1799.25}, 1800.0)
    assert error.stage == "write"
    assert DeadlineError.stage == "fuse"  # that of one error is not that of all
    assert str(error) == (
        "given up in the stage write (read 1.0 s, write 1799.2 s); expected all stages within "
        "1800 s. Check whether the store hangs or the machine is overloaded, or raise pair_deadline"
    )
