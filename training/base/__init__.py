"""A base is what stays frozen while a UNet learns: tokenizer, text encoder, autoencoder and noise schedule.

Real recipes take it from a hub (Stable Diffusion 2's). Where there is no network, `build` makes a tiny one of the very
same classes and folder layout, learned from the catalogue's own images and captions.
"""
