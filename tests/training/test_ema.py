import copy

import pytest
import torch
from torch import nn

from training.ema import WeightAverage


def linear(*values: float) -> nn.Linear:
    module = nn.Linear(len(values), 1, bias=False)
    set_weights(module, *values)
    return module


def set_weights(module: nn.Linear, *values: float) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.tensor([values]))


def weights(module: nn.Linear) -> list[float]:
    return [round(value, 6) for value in module.weight.flatten().tolist()]


def test_the_first_update_takes_the_weights_as_they_are() -> None:
    module = linear(1.0, 2.0)
    average = WeightAverage(module, smoothing=0.9, warm_up=False)
    set_weights(module, 3.0, 4.0)

    average.update()
    set_weights(module, 0.0, 0.0)
    average.copy_to_module()

    assert weights(module) == [3.0, 4.0]


def test_later_updates_keep_the_given_share_of_the_average() -> None:
    module = linear(1.0)
    average = WeightAverage(module, smoothing=0.9, warm_up=False)

    for value in (1.0, 2.0, 3.0):
        set_weights(module, value)
        average.update()
    average.copy_to_module()

    # 1, then 0.9 * 1 + 0.1 * 2 = 1.1, then 0.9 * 1.1 + 0.1 * 3 = 1.29.
    assert weights(module) == [1.29]


def test_a_young_average_forgets_faster_when_it_warms_up() -> None:
    module = linear(0.0)
    average = WeightAverage(module, smoothing=0.999, warm_up=True)

    for value in (0.0, 1.0, 1.0):
        set_weights(module, value)
        average.update()
    average.copy_to_module()

    # Shares kept: (1 + 1) / (10 + 1) = 2/11, then 3/12.
    after_one = 1 - 2 / 11
    assert weights(module) == [pytest.approx(1 - (1 - after_one) * 3 / 12, abs=1e-5)]


def test_a_saved_average_goes_on_as_if_nothing_had_happened() -> None:
    module = linear(1.0, 5.0)
    average = WeightAverage(module, smoothing=0.5, warm_up=True)
    for value in (1.0, 2.0):
        set_weights(module, value, value)
        average.update()
    saved = copy.deepcopy(average.state_dict())
    other = linear(2.0, 2.0)
    resumed = WeightAverage(other, smoothing=0.5, warm_up=True)

    resumed.load_state_dict(saved)
    for follower, following in ((average, module), (resumed, other)):
        set_weights(following, 8.0, 9.0)
        follower.update()
        follower.copy_to_module()

    assert weights(other) == weights(module)


def test_frozen_weights_are_left_out() -> None:
    module = nn.Sequential(linear(1.0), linear(2.0))
    module[0].requires_grad_(False)

    average = WeightAverage(module, smoothing=0.9, warm_up=False)

    assert list(average.state_dict()["average"]) == ["1.weight"]


def test_an_average_that_never_began_is_not_handed_over() -> None:
    module = linear(1.0)
    average = WeightAverage(module, smoothing=0.9, warm_up=False)

    with pytest.raises(AssertionError, match="never updated"):
        average.copy_to_module()
