"""What Composer trains: any module with a `training_loss`, wearing Composer's interface."""

from collections.abc import Callable, Mapping, Sized
from typing import Any, Protocol, runtime_checkable

from composer.core import DataSpec
from composer.models import ComposerModel
from torch import Tensor, nn
from torch.utils.data import DataLoader


@runtime_checkable
class ShardsItself(Protocol):
    """A task that says which of its modules sharded training gathers on their own."""

    def shards_alone(self, module: nn.Module) -> bool:
        """Whether `module` is such a one."""


class _Loss(nn.Module):
    """A task whose call is its loss: sharding gathers weights where modules are called, not where methods are."""

    def __init__(self, task: nn.Module) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        training_loss: Callable[[Mapping[str, Any]], Tensor] = self.task.training_loss  # type: ignore[assignment]
        return training_loss(batch)


class ComposedTask(ComposerModel):  # type: ignore[misc, unused-ignore]
    """The loss is computed in `forward`, so that the hooks of distributed training surround all of it."""

    def __init__(self, task: nn.Module) -> None:
        super().__init__()
        self.loss_of = _Loss(task)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """The task's loss."""
        loss: Tensor = self.loss_of(batch)
        return loss

    def loss(self, outputs: Tensor, batch: Any, *args: Any, **kwargs: Any) -> Tensor:
        """What `forward` already computed."""
        return outputs

    def fsdp_wrap_fn(self, module: nn.Module) -> bool:
        """Composer's question which modules to shard one by one."""
        task = self.loss_of.task
        return isinstance(task, ShardsItself) and task.shards_alone(module)


def data_spec(loader: DataLoader[Any]) -> DataSpec:
    """The loader with how to count and part its batches: dictionaries whose values are all as long."""
    return DataSpec(loader, split_batch=_split, get_num_samples_in_batch=_rows)


def _rows(batch: Mapping[str, Sized]) -> int:
    return len(next(iter(batch.values())))


def _split(batch: Mapping[str, Any], microbatch: int | float) -> list[dict[str, Any]]:
    microbatch = int(microbatch)
    starts = range(0, _rows(batch), microbatch)
    return [{name: column[start : start + microbatch] for name, column in batch.items()} for start in starts]
