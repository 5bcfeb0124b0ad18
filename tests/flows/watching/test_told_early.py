import sys

import pytest

from flows import starting
from flows.cli import main


@pytest.mark.parametrize("command", ["run", "score"])
def test_a_missing_extra_is_told_before_any_server_starts(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(starting, "start_server", never)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    fused = ["--fused", "m=fused/{pair}.png"] if command == "score" else []
    where = ["--source", "memory://in", "--output", "memory://out"]
    with pytest.raises(SystemExit) as ended:
        main([command, *where, *fused, "--metrics-port", "0"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "metrics_port is set and prometheus-client isn't installed" in told
    assert "pip install 'fuse-archive[metrics]'" in told
