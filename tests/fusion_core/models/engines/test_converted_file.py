import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_model

from fusion_core.models.engines import converted_file
from fusion_core.models.engines.cache_folder import cache_folder
from fusion_core.models.engines.converted import convert
from fusion_core.models.engines.converted_file import converted, file_name, packed, unpacked
from fusion_core.models.engines.openvino_package import openvino
from fusion_core.models.names import PACKAGED_NAMES
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.weights_file import load_weights

HASH = "ab" * 32
PACKAGED = Path(converted_file.__file__).parents[1] / "weights"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What was converted, into a cache that is empty at first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done: list[Any] = []

    def noted(network: Any) -> Any:
        done.append(network)
        return convert(network)

    monkeypatch.setattr(converted_file, "convert", noted)
    return done


def fused(graph: Any) -> np.ndarray[Any, Any]:
    ir, vi = torch.rand(2, 1, 1, 48, 64, generator=torch.Generator().manual_seed(1)).numpy()
    program = openvino().Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(program([ir, vi])["fused"])


def test_a_network_is_converted_once_and_kept_by_its_hash(
    conversions: list[Any], tmp_path: Path
) -> None:
    first = fused(converted(tiny_model(), HASH))
    assert [path.name for path in (tmp_path / "fuse-archive").iterdir()] == [file_name(HASH)]
    again = fused(converted(tiny_model(), HASH))
    assert len(conversions) == 1
    assert (first == again).all()
    other = fused(converted(tiny_model(4), "cd" * 32))
    assert len(conversions) == 2
    assert np.abs(other - first).max() > 0.01


def test_a_fuser_uses_what_is_kept(conversions: list[Any]) -> None:
    for _ in range(2):
        NetworkFuser(tiny_model(), "cpu", "fp32", HASH, engine="openvino")
    assert len(conversions) == 1


def damage(body: bytes) -> dict[str, bytes]:
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 255
    return {
        "empty": b"",
        "cut short": body[: len(body) // 2],
        "one byte changed": bytes(flipped),
        "no zip": b"not a zip file at all",
        "of another model": body.replace(HASH.encode(), b"cd" * 32),
    }


def test_a_damaged_file_costs_time_alone(
    conversions: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    wanted = fused(converted(tiny_model(), HASH))
    folder = cache_folder()
    assert folder is not None
    path = folder / file_name(HASH)
    whole = path.read_bytes()
    for what, body in damage(whole).items():
        conversions.clear()
        caplog.clear()
        path.write_bytes(body)
        with caplog.at_level(logging.WARNING):
            assert (fused(converted(tiny_model(), HASH)) == wanted).all(), what
        assert len(conversions) == 1, what
        assert "can't be used, and is made anew" in caplog.text, what
        assert unpacked(path.read_bytes(), HASH) is not None, what
        assert [one.name for one in folder.iterdir()] == [path.name], what


def test_a_folder_that_can_not_be_written_costs_time_alone(
    conversions: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "fuse-archive").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        converted(tiny_model(), HASH)
    assert "can't be kept in" in caplog.text


def test_a_write_that_fails_leaves_nothing_behind(
    conversions: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    converted(tiny_model(), HASH)
    assert not list((tmp_path / "fuse-archive").iterdir())


def test_the_cache_is_where_the_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/fuse-archive")
    for unset in ("", "relative"):  # which the standard has ignored
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        monkeypatch.setenv("HOME", "/home/somebody")
        assert cache_folder() == Path("/home/somebody/.cache/fuse-archive")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder() is None
    assert os.environ["XDG_CACHE_HOME"] == "relative"


def test_one_graph_makes_one_file(conversions: list[Any]) -> None:
    graph = converted(tiny_model(), HASH)
    assert packed(graph, HASH) == packed(graph, HASH)


def test_the_packaged_files_are_of_the_packaged_weights() -> None:
    names = [name for name in PACKAGED_NAMES if (PACKAGED / f"{name}.safetensors").exists()]
    hashes = [load_weights(name)[1].sha256 for name in names]
    assert {path.name for path in PACKAGED.glob("openvino-*")} == {*map(file_name, hashes)}
    _, info = load_weights()
    body = (PACKAGED / file_name(info.sha256)).read_bytes()
    assert unpacked(body, info.sha256) is not None
    with pytest.raises(ValueError, match="made of the model"):
        unpacked(body, info.sha256[:-1] + "x")


def test_the_packaged_file_is_what_converting_gives() -> None:
    """It stores weights in fp16, of which the packaged ones lose nothing."""
    network, info = load_weights()
    shipped = unpacked((PACKAGED / file_name(info.sha256)).read_bytes(), info.sha256)
    fresh = convert(network)
    assert [one.any_name for one in shipped.outputs] == [one.any_name for one in fresh.outputs]
    ir, vi = torch.rand(2, 1, 1, 192, 200, generator=torch.Generator().manual_seed(1)).numpy()
    core = openvino().Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    one, other = (core.compile_model(graph, "CPU", options)([ir, vi]) for graph in (shipped, fresh))
    for name in ("fused", "grid_2", "grid_3", "weights"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-6, rtol=1e-6)
