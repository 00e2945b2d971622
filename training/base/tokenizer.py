"""A CLIP tokenizer learned from captions: byte-level BPE with CLIP's end-of-word mark and vocabulary order.

In: captions. Out: a folder that `transformers.CLIPTokenizer.from_pretrained` reads. Any text can be tokenized, since
every byte is a token; words of the captions become one token each.
Source: Radford et al. (2021), arXiv:2103.00020, section 2.4; Sennrich et al. (2016), arXiv:1508.07909.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def learn_tokenizer(captions: Iterable[str], folder: Path, *, max_tokens: int, vocabulary: int = 2000) -> CLIPTokenizer:
    """Learn at most `vocabulary` merges from `captions`, write them to `folder`, and load what was written.

    `max_tokens` is the length every text is cut or padded to, the start and end tokens included.
    """
    merges = _merges(captions, vocabulary)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # CLIP's order: every byte, every byte that ends a word, what the merges make, then the two special tokens.
    made = dict.fromkeys("".join(pair) for pair in merges)
    tokens = dict.fromkeys([*letters, *(letter + END_OF_WORD for letter in letters), *made, START, END])
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary_file, merges_file = folder / "vocab.json", folder / "merges.txt"
    vocabulary_file.write_text(json.dumps({token: number for number, token in enumerate(tokens)}), encoding="utf-8")
    # The first line is a version header: CLIP's reader skips it, whatever it says.
    merges_file.write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), encoding="utf-8")
    tokenizer = CLIPTokenizer(str(vocabulary_file), str(merges_file), model_max_length=max_tokens, pad_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _merges(captions: Iterable[str], vocabulary: int) -> list[tuple[str, str]]:
    """The merges that byte-pair encoding finds in the lower-cased words of `captions`, most frequent first."""
    learner = Tokenizer(models.BPE(end_of_word_suffix=END_OF_WORD))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix=END_OF_WORD,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]
