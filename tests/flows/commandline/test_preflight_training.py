"""What is looked at before a training starts any server."""

import sys
from pathlib import Path

import pytest
from tiny import train_settings_for, write_pairs

from flows.commandline.preflight import check_start
from fusion_core.errors import SettingsError


def test_a_training_without_its_extra_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pairs(tmp_path / "in", ["a", "b"])
    settings = train_settings_for(tmp_path / "in", tmp_path / "out")
    check_start(settings)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingsError, match=r"fuse-archive\[train\]"):
        check_start(settings)
