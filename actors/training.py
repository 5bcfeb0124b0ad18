"""Runs a training on a Ray cluster while the driver stays awake for signals."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import ray
from ray.exceptions import RayError

from actors.resources import WorkerShare, worker_share
from actors.training_mailbox import beside_driver, start_mailbox
from actors.training_worker import WorkerTask, fit
from actors.waiting import result_of, wait_any
from fusion_core.errors import SettingsError, TrainingError
from fusion_core.training import ProgressEvent, TrainingJob, TrainSettings

_PATIENCE_SECONDS = 20.0  # less than the 30 s after which Prefect kills a run that is cancelled
_ENVIRONMENT = {
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS is not deterministic
}


def require_ray_train() -> None:
    """Raise unless Ray Train can be used here: it asks for pandas, which nothing else needs.

    Raises:
        SettingsError: pandas isn't installed.
    """
    if find_spec("pandas") is None:
        raise SettingsError(
            "Ray Train needs pandas to train, which isn't installed. Install it, on each node of a "
            "cluster, by pip install 'fuse-archive[train]'."
        )


def training_share(settings: TrainSettings, nodes: Sequence[Mapping[str, float]]) -> WorkerShare:
    """Turn the settings ``worker`` and ``workers`` into what each worker takes, and their number.

    Args:
        settings: The training's settings.
        nodes: Resources of each node, as Ray names them.

    Raises:
        SettingsError: The workers don't fit the cluster's CPUs, or can't share a batch equally.
    """
    batch, asked = settings.batch, settings.workers
    worker, largest = settings.worker, max((n.get("CPU", 0.0) for n in nodes), default=0.0)
    if worker in ("auto", "cpu") and (worker == "cpu" or not any(n.get("GPU", 0) for n in nodes)):
        each = -(-(asked or 1) // max(1, len(nodes)))
        worker = f"cpu:{max(1, int(largest / each))}"
    share = worker_share(worker, nodes, grows=settings.ray_address is not None)
    if asked is None:
        fitting = share.count if share.gpus else 1
        count = max(k for k in range(1, min(fitting, batch) + 1) if batch % k == 0)
    elif batch % asked:
        raise SettingsError(
            f"{asked} workers can't share a batch of {batch} equally; set batch to a multiple of "
            "workers"
        )
    elif not share.gpus and asked > share.count:
        raise SettingsError(
            f"{asked} workers with {share.cpus:g} CPUs each don't fit the cluster, which holds "
            f"{share.count}; ask for fewer workers, or smaller ones such as --worker cpu:1"
        )
    else:
        count = asked
    return WorkerShare(share.cpus, share.gpus, count)


def train(
    job: TrainingJob, share: WorkerShare, options: Callable[[], Mapping[str, Any]]
) -> Generator[ProgressEvent, None, None]:
    """Train, and yield the events of its progress as they come.

    However the iteration ends, no worker is left behind; whoever leaves it early closes it.

    Args:
        job: The training.
        share: What each worker takes, and how many there are.
        options: Returns the storage options to use now.

    Raises:
        FuseArchiveError: What a worker met that it would meet again.
        TrainingError: Workers were lost, or failed, again and again.
    """
    mailbox = start_mailbox(options())
    # In a task, because fit() blocks, and a blocked driver hears no signal.
    remote: Any = ray.remote(fit)
    chosen = {
        "num_cpus": 0,
        "max_retries": 0,
        "scheduling_strategy": beside_driver(),
        "runtime_env": {"env_vars": _ENVIRONMENT},
    }
    done = remote.options(**chosen).remote(WorkerTask(job, share, mailbox))
    try:
        ended = False
        while not ended:
            ended = bool(wait_any([done]))
            events, error = result_of(mailbox.take.remote(options()))
            yield from events
            if error is not None:
                raise error
        _check(done)
    finally:
        _end(done)
        ray.kill(mailbox)


def _end(done: Any) -> None:
    """End the training's task with all below it, if it still runs."""
    # An interrupt lets Ray Train give back its workers and what it reserved for them. After a
    # kill the reservation would stay, where no dashboard tells its keeper of the death.
    ray.cancel(done)
    if not ray.wait([done], timeout=_PATIENCE_SECONDS)[0]:
        ray.cancel(done, force=True)


def _check(done: Any) -> None:
    try:
        ray.get(done)
    except RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise TrainingError(
            f"the training's workers failed again and again, at last with: {lines[-1].strip()}. "
            "The same command goes on from the last checkpoint"
        ) from error
