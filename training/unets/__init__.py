"""UNets: what is trained. To add one, write a function that returns it and give it a line below."""

UNETS: dict[str, str] = {
    "tiny_s": "training.unets.tiny:small",
    "tiny_l": "training.unets.tiny:large",
    "sd2": "training.unets.sd2:build",
    "sdxl_1024": "training.unets.sdxl:build",
}
