"""The head that ImageReward and the aesthetic predictor share: five linear layers with dropout between them.

In: a vector per image. Out: a number per image. There is no nonlinearity between the layers, as published, so the
head is one affine map; its five factors are kept because that is how the weights are.
Source: "improved aesthetic predictor" (LAION, 2022), whose layout ImageReward took over.
"""

from jaxtyping import Float
from torch import Tensor, nn

# Where the linear layers stand in the published file, dropouts counted, and how wide each of them is.
POSITIONS = (0, 2, 4, 6, 7)
WIDTHS = (1024, 128, 64, 16, 1)


class LinearHead(nn.Module):
    """Names its weights `layers.0.weight` ... `layers.7.bias`, as the published files do."""

    def __init__(self, features: int) -> None:
        super().__init__()
        inputs = (features, *WIDTHS[:-1])
        linear = [nn.Linear(inputs[layer], WIDTHS[layer]) for layer in range(len(WIDTHS))]
        dropout = [nn.Dropout(0.2), nn.Dropout(0.2), nn.Dropout(0.1)]
        self.layers = nn.Sequential(
            linear[0], dropout[0], linear[1], dropout[1], linear[2], dropout[2], linear[3], linear[4]
        )

    def forward(self, features: Float[Tensor, "images features"]) -> Float[Tensor, " images"]:
        """One number per image."""
        values: Float[Tensor, " images"] = self.layers(features)[:, 0]
        return values
