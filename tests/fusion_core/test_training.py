import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.losses import LossConfig, source_masks
from fusion_core.network import NetworkConfig
from fusion_core.training import (
    Trainer,
    TrainingConfig,
    load_checkpoint,
    main,
    save_checkpoint,
    train,
)
from fusion_core.training_data import CropSource, list_pairs, split_names
from fusion_core.weights_file import load_weights

CONFIG = TrainingConfig(
    steps=6,
    batch=2,
    crop=16,
    warmup=2,
    checkpoint_every=2,
    bf16=False,
    network=NetworkConfig(levels=3, widths=(4, 4, 6), decoder_width=4, token_grid=4),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(7)
    ir, vi = tmp_path / "ir", tmp_path / "vi"
    for folder in (ir, vi):
        folder.mkdir()
    for index in range(5):
        shape = (20 + index, 30)
        smooth = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 3
        hot = np.where(random.random(shape) > 0.9, 255, 40).astype(np.uint8)
        Image.fromarray(hot).save(ir / f"{index}.png")
        Image.fromarray(np.stack([smooth.astype(np.uint8)] * 3, -1)).save(vi / f"{index}.png")
    (ir / "only-infrared.png").write_bytes(b"")
    return ir, vi


def test_a_pair_is_two_files_of_one_name(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert list_pairs(*folders) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no file name in common"):
        list_pairs(folders[0], tmp_path / "empty")


def test_validation_pairs_are_apart_and_as_many_as_stated() -> None:
    names = [f"{i:03}" for i in range(171)]
    train_names, apart = split_names(names, 21)
    assert (len(train_names), len(apart)) == (150, 21)
    assert sorted(train_names + apart) == names
    assert split_names(names, 0) == (names, [])
    with pytest.raises(SettingsError, match="at least one pair must be left"):
        split_names(names, 171)


def test_batches_depend_on_seed_and_step_alone(folders: tuple[Path, Path]) -> None:
    source = CropSource(*folders, ["0.png", "3.png"], 16, LossConfig())
    first = source.random_batch(4, seed=1, step=5)
    source.random_batch(4, seed=1, step=6)
    again, other = source.random_batch(4, seed=1, step=5), source.random_batch(4, seed=1, step=6)
    assert torch.equal(first.ir, again.ir)
    assert torch.equal(first.masks.vi, again.masks.vi)
    assert not torch.equal(first.vi, other.vi)
    assert first.ir.shape == first.masks.ir.shape == (4, 1, 16, 16)


def test_masks_are_of_the_whole_image(folders: tuple[Path, Path]) -> None:
    source = CropSource(*folders, ["0.png"], 16, LossConfig())
    batch = source.centre_batch()
    ir, vi = (
        torch.from_numpy(np.array(Image.open(folder / "0.png").convert("L")) / 255).float()
        for folder in folders
    )
    masks = source_masks(ir[None, None], vi[None, None], LossConfig())
    assert torch.equal(batch.ir[0, 0], ir[2:18, 7:23])
    assert torch.equal(batch.masks.ir[0, 0], masks.ir[0, 0, 2:18, 7:23])
    assert torch.equal(batch.masks.vi[0, 0], masks.vi[0, 0, 2:18, 7:23])


def test_crops_of_all_layers_stay_aligned(folders: tuple[Path, Path]) -> None:
    """The infrared is 40 or 255 before darkening, which keeps the order of the two."""
    source = CropSource(*folders, ["0.png", "1.png"], 16, LossConfig())
    batch = source.random_batch(16, seed=0, step=0)
    hot = batch.ir > batch.ir.amax((2, 3), keepdim=True) / 2
    assert batch.masks.ir[hot].min() == 1


def test_images_smaller_than_the_crop_are_padded(folders: tuple[Path, Path]) -> None:
    batch = CropSource(*folders, ["0.png"], 64, LossConfig()).centre_batch()
    assert batch.ir.shape == (1, 1, 64, 64)


def test_pairs_of_two_sizes_are_refused(folders: tuple[Path, Path]) -> None:
    Image.new("L", (9, 9)).save(folders[0] / "2.png")
    with pytest.raises(SettingsError, match=r"2\.png has .*9, 9"):
        CropSource(*folders, ["2.png"], 8, LossConfig())


@pytest.mark.parametrize("bf16", [False, True])
def test_training_lowers_the_loss(folders: tuple[Path, Path], bf16: bool) -> None:
    config = replace(CONFIG, steps=30, learning_rate=5e-3, bf16=bf16)
    batch = CropSource(*folders, list_pairs(*folders), 16, config.loss).centre_batch()
    trainer = Trainer(config)
    losses = [trainer.advance(batch) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]


def test_training_writes_weights_and_a_log(folders: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    lines: list[str] = []
    log = train(*folders, output, 2, CONFIG, lines.append)
    model, info = load_weights(str(output))
    assert model.config == CONFIG.network
    assert [record["step"] for record in log] == [2, 4, 6]
    assert len(lines) == 3
    assert "loss=" in lines[0]
    assert "seconds_per_step=" in lines[0]
    written = json.loads((tmp_path / "w.safetensors.json").read_text())
    assert written["log"] == log
    assert info.training == written["training"]
    assert info.training["validation_names"] == ["1.png", "3.png"]
    assert info.training["pairs"] == 3
    assert not list(tmp_path.glob("*.checkpoint*"))


def test_a_resumed_training_is_the_uninterrupted_one(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    straight = train(*folders, tmp_path / "a", 2, CONFIG, lambda _: None)

    class Interrupted(Exception):
        pass

    def stop_at_four(line: str) -> None:
        if line.startswith("step=6"):
            raise Interrupted

    with pytest.raises(Interrupted):
        train(*folders, tmp_path / "b", 2, CONFIG, stop_at_four)
    assert (tmp_path / "b.checkpoint").exists()
    resumed = train(*folders, tmp_path / "b", 2, CONFIG, lambda _: None)
    timeless = [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in straight]
    assert [{k: v for k, v in r.items() if k != "seconds_per_step"} for r in resumed] == timeless
    weights = [load_weights(str(tmp_path / name))[0].state_dict() for name in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.checkpoint"
    save_checkpoint(file, Trainer(CONFIG), [])
    other = Trainer(replace(CONFIG, seed=9, learning_rate=1))
    with pytest.raises(WeightsError, match="other values of learning_rate, seed"):
        load_checkpoint(file, other)


def test_the_command_line_trains(folders: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    flags = f"--ir {folders[0]} --vi {folders[1]} --output {output} --validation 1 --steps 1"
    main([*flags.split(), "--batch", "1", "--crop", "16", "--seed", "3", "--loss",
          '{"neighbourhood": 5}'])  # fmt: skip
    training = load_weights(str(output))[1].training
    assert training["seed"] == 3
    assert training["loss"]["neighbourhood"] == 5
