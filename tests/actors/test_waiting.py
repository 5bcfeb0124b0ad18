from typing import Any

import pytest
import ray

from actors.waiting import result_of, wait_any


def test_what_a_signal_handler_raises_inside_ray_comes_out_as_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr(ray, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        wait_any([])
    with pytest.raises(KeyboardInterrupt):
        result_of("ref")


def test_a_system_error_of_its_own_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise SystemError("a bug")

    monkeypatch.setattr(ray, "wait", broken)
    with pytest.raises(SystemError, match="a bug"):
        wait_any([])
