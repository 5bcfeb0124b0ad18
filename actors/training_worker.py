"""Runs a training on Ray Train: what each worker does, and what starts and replaces them.

Ray Train keeps no checkpoints here: a group of workers that is started again goes on from ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from actors.resources import WorkerShare
from fusion_core.errors import FuseArchiveError
from fusion_core.training import (
    Reporter,
    TrainingJob,
    WorkerRank,
    compute_alike,
    run_training,
)

# The others wait for worker 0 while it validates, however large the set. That a worker is gone is
# seen by its closed connections, and by Ray.
_COLLECTIVE_TIMEOUT_SECONDS = 7 * 24 * 3600
_RESTARTS = 3


@dataclass(frozen=True)
class WorkerTask:
    """What a worker of a training is given.

    Attributes:
        job: The training.
        share: What the worker has of the cluster, and how many there are.
        mailbox: Handle of the ``TrainingMailbox``.
    """

    job: TrainingJob
    share: WorkerShare
    mailbox: Any


def fit(task: WorkerTask) -> None:
    """Run a training on Ray Train workers; blocks until it is done.

    A worker that is lost restarts all of them, at most three times.

    Raises:
        ray.train.TrainingFailedError: It failed more often.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    share = task.share
    # Ray Train insists on a folder, in which it leaves an empty marker.
    with tempfile.TemporaryDirectory(prefix="fuse-archive-train-") as scratch:
        TorchTrainer(
            train_on_worker,
            train_loop_config={"task": task},
            torch_config=TorchConfig(timeout_s=_COLLECTIVE_TIMEOUT_SECONDS),
            scaling_config=ScalingConfig(
                num_workers=share.count,
                use_gpu=share.gpus > 0,
                resources_per_worker={"CPU": share.cpus, "GPU": share.gpus},
            ),
            run_config=RunConfig(
                name="train-refinefuse",
                storage_path=scratch,
                failure_config=FailureConfig(max_failures=_RESTARTS),
            ),
        ).fit()


def train_on_worker(config: Mapping[str, Any]) -> None:
    """Take part in a training; Ray Train calls this once on each worker.

    Args:
        config: ``task``, the ``WorkerTask``.

    Raises:
        FuseArchiveError: As ``run_training``; the mailbox gets it too.
    """
    task: WorkerTask = config["task"]
    mailbox = task.mailbox
    reporter = Reporter(
        options=lambda: ray.get(mailbox.options.remote()),
        report=lambda event: mailbox.post.remote(event),
    )
    if task.share.gpus:
        compute_alike()
    else:
        torch.set_num_threads(max(1, int(task.share.cpus)))
    try:
        run_training(task.job, _rank_of(task.share), reporter)
    except FuseArchiveError as error:
        ray.get(mailbox.fail.remote(error))
        raise


def _rank_of(share: WorkerShare) -> WorkerRank:
    """Return what this worker is among the others."""
    from ray.train import get_context

    if share.count == 1:
        return WorkerRank(share.device)
    index, count = get_context().get_world_rank(), get_context().get_world_size()
    return WorkerRank(
        device=share.device, index=index, workers=count, wrap=_in_parallel, mean=_mean
    )


def _in_parallel(module: nn.Module) -> nn.Module:
    return DistributedDataParallel(module)


def _mean(tensor: Tensor) -> Tensor:
    torch.distributed.all_reduce(tensor)
    return tensor / torch.distributed.get_world_size()
