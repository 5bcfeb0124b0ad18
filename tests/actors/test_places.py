"""Which GPUs and nodes are left out, and when."""

from actors.chunk_actor import Started
from actors.places import Places, gpu_of


def started(node: str, *gpus: str) -> Started:
    return Started(node_id=node, host="box", pid=1, gpus=gpus, arithmetic=None, memory_kills=0)


def test_a_gpu_is_left_out_when_it_fails_again_with_nothing_done_in_between() -> None:
    places, first, second = Places(), started("n" * 56, "0"), started("n" * 56, "1")
    assert not places.gpu_failed(first, "Xid 79")
    assert not places.gpu_failed(second, "Xid 79")
    assert not places.clean(gpu_of(first))
    places.worked(gpu_of(first))
    assert places.clean(gpu_of(first))
    assert not places.gpu_failed(first, "Xid 79")
    assert places.gpu_failed(second, "Xid 79")
    assert places.gpus == {gpu_of(second)}
    assert places.told() == ("GPU 1 of node box (nnnnnnnn): Xid 79",)
    assert not places.nodes


def test_a_gpu_that_ray_does_not_know_of_is_its_nodes() -> None:
    places, cpu = Places(), started("n" * 56)
    assert gpu_of(cpu) is None
    assert not places.gpu_failed(cpu, "CUDA error")
    assert places.gpu_failed(cpu, "CUDA error")
    assert places.nodes == {"n" * 56}


def test_a_node_that_says_why_it_cannot_start_is_left_out_at_once() -> None:
    places = Places()
    assert places.node_failed("a", "one", "no weights", for_good=True)
    assert not places.node_failed("b", "two", "died", for_good=False)
    assert places.node_failed("b", "two", "died", for_good=False)
    assert places.told() == ("node one (a): no weights", "node two (b): died")
