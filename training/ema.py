"""A running average of a module's trained weights, which samples better than the weights themselves.

Plain torch; under sharding each process averages its own shards, so nothing is gathered. The average is allocated at
once and only begins to follow at its first update, so a checkpoint has one layout before and after that.
Source: Polyak & Juditsky (1992); as used by Ho et al. (2020), arXiv:2006.11239, appendix B.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


class WeightAverage:
    """average <- smoothing * average + (1 - smoothing) * weights, once per `update`.

    With `warm_up` the n-th update uses min(smoothing, (1 + n) / (10 + n)), so that the average of a short run does not
    cling to its first weights. The first update always takes the weights as they are.
    """

    def __init__(self, module: nn.Module, *, smoothing: float, warm_up: bool) -> None:
        self.smoothing = smoothing
        self.warm_up = warm_up
        self.updates = 0
        weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        self._average = {name: weight.detach().clone() for name, weight in weights.items()}
        # What an update works on: this process's parts, which share their memory with the tensors above.
        self._followed = [_local(weight) for weight in weights.values()]
        self._following = [_local(average) for average in self._average.values()]

    def update(self) -> None:
        """Take the module's present weights into the average."""
        share = self._share()
        self.updates += 1
        with torch.no_grad():
            if share == 0.0:
                torch._foreach_copy_(self._following, self._followed)
            else:
                torch._foreach_lerp_(self._following, self._followed, 1 - share)

    def copy_to_module(self) -> None:
        """Write the average over the module's weights. Before the first update this would be stale: it is refused."""
        assert self.updates > 0, "the average was never updated"
        with torch.no_grad():
            torch._foreach_copy_(self._followed, self._following)

    def state_dict(self) -> dict[str, Any]:
        """The number of updates and the averages by the weights' names."""
        return {"updates": self.updates, "average": dict(self._average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.updates = int(state["updates"])
        saved: Mapping[str, Tensor] = state["average"]
        assert saved.keys() == self._average.keys(), "the saved average belongs to another module"
        with torch.no_grad():
            for name, average in self._average.items():
                average.copy_(saved[name])

    def _share(self) -> float:
        """How much of the average the coming update keeps."""
        if self.updates == 0:
            return 0.0
        if not self.warm_up:
            return self.smoothing
        return min(self.smoothing, (1 + self.updates) / (10 + self.updates))


def _local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, sharing its memory."""
    part = tensor.detach()
    return part.to_local() if isinstance(part, DTensor) else part
