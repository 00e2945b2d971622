"""The published weights that metrics are defined on, at the revisions that are meant.

A hub id is pinned by its commit, an address by the start of its file's sha256, which is checked after the download.
The files are not read here: a pin that has gone is an error of whoever loads it.
"""

from evaluation.metrics.base import Weights

CLIP_VIT_B_32 = Weights(source="openai/clip-vit-base-patch32", revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")
CLIP_VIT_B_16 = Weights(source="openai/clip-vit-base-patch16", revision="57c216476eefef5ab752ec549e440a49ae4ae5f3")
CLIP_VIT_L_14 = Weights(source="openai/clip-vit-large-patch14", revision="32bd64288804d66eefd0ccbe215aa642df71cc41")
CLIP_VIT_L_14_336 = Weights(
    source="openai/clip-vit-large-patch14-336", revision="ce19dc912ca5cd21c8a653c79e251e808ccabcd1"
)

# The network of the original FID (TensorFlow's inception-2015-12-05.tgz), as pytorch-fid ported it.
INCEPTION_FID = Weights(
    source="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    revision="sha256:6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
DINOV2_VIT_L = Weights(source="facebook/dinov2-large", revision="47b73eefe95e8d44ec3623f8890bd894b6ea2d6c")
SSCD = Weights(
    source="https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchscript.pt",
    revision="sha256:9f26bd4c848cc19b73d2ae92eea6e04886f61a7b764ceb7a13aeee62e6a6db56",
)

IMAGE_REWARD = Weights(source="zai-org/ImageReward", revision="5736be03b2652728fb87788c9797b0570450ab72")
# One repository holds both versions; the scorer chooses the file.
HPS_V2 = Weights(source="xswu/HPSv2", revision="697403c78157020a1ae59d23f111aa58ced35b0a")
HPS_V2_1 = HPS_V2
PICK_SCORE = Weights(source="yuvalkirstain/PickScore_v1", revision="a4e4367c6dfa7288a00c550414478f865b875800")
# The head alone; it reads CLIP_VIT_L_14.
AESTHETIC = Weights(
    source=(
        "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/sac%2Blogos%2Bava1-l14-linearMSE.pth"
    ),
    revision="sha256:21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
)
# The TIFA authors offer several models for the answers; this one is a class of transformers.
TIFA_VQA = Weights(source="Salesforce/blip-vqa-capfilt-large", revision="e53f95265aeab69013fabb5380500ab984adbbb4")
