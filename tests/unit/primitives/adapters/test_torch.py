from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace
from typing import Any, Callable

import pytest

from transparent_mp.primitives.adapters import torch as adapter

torch = pytest.importorskip("torch", minversion="2.1")
reductions = pytest.importorskip("torch.multiprocessing.reductions")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """What arrives of an object, and that no descriptor was sent for it."""
    tensors = adapter.reduce_tensor(reductions.reduce_tensor)
    table = {
        **ForkingPickler._extra_reducers,  # type: ignore[attr-defined]
        torch.UntypedStorage: adapter.reduce_storage(reductions.reduce_storage),
        torch.Tensor: tensors,
        torch.nn.Parameter: tensors,
    }
    monkeypatch.setattr(ForkingPickler, "_extra_reducers", table)
    monkeypatch.setattr("multiprocessing.reduction.DupFd", None)
    return lambda obj: pickle.loads(ForkingPickler.dumps(obj))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).reshape(3, 4),
        torch.arange(12).reshape(3, 4).T[1:, ::2],
        torch.empty(0, 3),
        torch.tensor(True),
        torch.randn(3).to(torch.bfloat16),
        torch.eye(3).to_sparse(),
        torch.empty(2, 2, device="meta"),
    ],
    ids=["plain", "view", "empty", "bool", "bfloat16", "sparse", "meta"],
)
def test_tensor_arrives(sent: Callable[[Any], Any], tensor: Any) -> None:
    got = sent(tensor)
    assert (got.dtype, got.size(), got.layout, got.device) == (
        tensor.dtype, tensor.size(), tensor.layout, tensor.device,
    )  # fmt: skip
    if tensor.layout is torch.strided and tensor.device.type == "cpu":
        assert torch.equal(got, tensor)
        assert got.stride() == tensor.stride()


def test_copy_is_its_own_and_can_grow(sent: Callable[[Any], Any]) -> None:
    tensor = torch.zeros(4)
    got = sent(tensor)
    got.fill_(1).resize_(100)
    assert tensor.sum() == 0
    assert not tensor.is_shared()


def test_tensors_of_one_pickle_share_what_they_shared(sent: Callable[[Any], Any]) -> None:
    base = torch.zeros(6)
    whole, part = sent((base, base[2:4]))
    part.fill_(5)
    assert whole.tolist() == [0, 0, 5, 5, 0, 0]


def test_small_view_of_a_large_storage_goes_alone(sent: Callable[[Any], Any]) -> None:
    base = torch.arange(adapter.WHOLE).reshape(-1, 8)
    view = base[3:5, ::2]
    assert len(ForkingPickler.dumps(view)) < 10_000
    got = sent(view)
    assert torch.equal(got, view)
    assert got.stride() == view.stride()


def test_parameter_stays_one(sent: Callable[[Any], Any]) -> None:
    module = sent(torch.nn.Linear(2, 3))
    assert all(isinstance(p, torch.nn.Parameter) and p.requires_grad for p in module.parameters())


def test_tensor_within_a_graph_goes_by_fork_only(
    sent: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="non-leaf"):
        sent(tensor)
    monkeypatch.setattr(adapter.context, "get_spawning_popen", lambda: SimpleNamespace(method="fork"))
    got = sent(tensor)
    assert got.is_leaf
    assert got.requires_grad
    assert got.tolist() == [2, 2]


def test_cuda_is_refused() -> None:
    reduce = adapter.reduce_tensor(lambda _tensor: pytest.fail("sent as a handle"))
    with pytest.raises(RuntimeError, match=r"send tensor\.cpu"):
        reduce(SimpleNamespace(is_cuda=True))
    with pytest.raises(RuntimeError, match="CUDA event"):
        adapter.reduce_event(None)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("strategy", ["file_descriptor", "file_system"])
def test_updates_of_shared_memory_are_seen(program: Callable[..., str], method: str, strategy: str) -> None:
    app = f"""
        import torch, torch.multiprocessing as mp

        def work(model, view, i):
            with torch.no_grad():
                model.weight.view(-1)[i] += 1 + i
                view += 1 if i == 1 else 0

        if __name__ == "__main__":
            mp.set_sharing_strategy({strategy!r})
            context = mp.get_context({method!r})
            model = torch.nn.Linear(2, 1, bias=False)
            model.weight.data.zero_()
            base = torch.zeros(4)
            view = base[1:3]
            model.share_memory()
            view.share_memory_()
            processes = [context.Process(target=work, args=(model, view, i)) for i in range(2)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            print(model.weight.tolist(), base.tolist(), base.is_shared())
    """
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    assert got == "[[1.0, 2.0]] [0.0, 1.0, 1.0, 0.0] True\n"


def test_same_shared_storage_arrives_once(program: Callable[..., str]) -> None:
    app = """
        import torch, torch.multiprocessing as mp

        def work(queue, answers):
            first, second = queue.get(), queue.get()
            answers.put(first.data_ptr() == second.data_ptr())
            first.add_(1)
            answers.put("written")

        if __name__ == "__main__":
            queue, answers = mp.SimpleQueue(), mp.SimpleQueue()
            shared = torch.zeros(3).share_memory_()
            process = mp.Process(target=work, args=(queue, answers))
            process.start()
            queue.put(shared)
            queue.put(shared)
            print(answers.get(), answers.get(), shared.tolist())
            process.join()
    """
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    assert got == "True written [1.0, 1.0, 1.0]\n"
