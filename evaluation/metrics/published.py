"""The published weights that metrics are defined on, at the revisions that are meant."""

from evaluation.metrics.base import Weights

CLIP_VIT_B_32 = Weights(source="openai/clip-vit-base-patch32", revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")
CLIP_VIT_B_16 = Weights(source="openai/clip-vit-base-patch16", revision="57c216476eefef5ab752ec549e440a49ae4ae5f3")
