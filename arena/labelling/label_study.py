"""A label study is what was declared before the first label: which images people look at, and what they are asked.

In: values, or a dictionary that `to_dict` wrote. Out: a frozen `LabelStudy` and its hash. Pure; `label_file.py` reads
one from a TOML file. In the mode "single" a rater says whether an image shows anybody known, and whom; in the mode
"pair" which of two images resembles a named target more.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any, Literal

from arena.canonical import canonical_json, sha256_hex
from arena.labelling.drawing import Item
from arena.labelling.matching import Target
from arena.quality import Gates
from arena.study_parts import LARGEST_SEED, LARGEST_SHARE, Crowd, part_to_dict
from prompts.errors import quoted
from prompts.prompt import Prompt, PromptSet
from prompts.toml_places import PlacedError

Mode = Literal["single", "pair"]
ShowingKind = Literal["study", "repeat", "gold"]

#: What a rater may answer, mode by mode.
ANSWERS: dict[Mode, tuple[str, ...]] = {
    "single": ("yes", "not_sure", "no"),
    "pair": ("left", "equally", "neither", "right"),
}
#: "It reminds me of it", "it is like it", "it is it"; 0 where nobody was recognised.
CLOSEST = 3

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class LabelStudyError(PlacedError):
    """A declaration that cannot be a label study; the sentence says why, and `place` is the key at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldImage:
    """What `entrant` painted for `prompt` (its text) with `seed`, where the right answer is known.

    Single: `answer` is yes or no. Pair: `other` painted the same, and `entrant`'s image is the one that resembles more.
    """

    entrant: str
    prompt: str
    seed: int = 0
    answer: str = ""
    other: str = ""

    @property
    def item(self) -> Item:
        """What is shown."""
        entrants = (self.entrant, self.other) if self.other else (self.entrant,)
        return Item(Prompt(text=self.prompt).id, self.seed, entrants)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudy:
    """One labelling, as declared.

    `prompts` are those asked of the images: category is the character's key among `targets`, challenge the kind of
    prompt. `items` is what was drawn by `sample_seed`: the images, or pairs, that are labelled. `labels_per_image` is
    how many raters judge each; `labels_per_rater` how many one rater gives at most, repeats and gold among them.
    `repeats` and `gold_share` are the shares of a rater's showings that repeat an earlier one and that come from
    `gold`. `gates` say what a rater must pass. `suggest` offers the targets' names where a rater types whom they see:
    quicker, but it tells what the study is after.

    Raises LabelStudyError.
    """

    name: str
    mode: Mode
    entrants: tuple[str, ...]
    prompts: PromptSet
    targets: tuple[Target, ...]
    items: tuple[Item, ...]
    title: str = ""
    kinds: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    sample_seed: int = 0
    labels_per_image: int = 1
    labels_per_rater: int = 30
    repeats: float = 0.0
    gold: tuple[GoldImage, ...] = ()
    gold_share: float = 0.0
    gates: Gates | None = None
    consent: str = ""
    instructions: str = ""
    language: str = ""
    suggest: bool = False
    crowd: Crowd | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabelStudyError(
                f"The name {quoted(self.name)} is no name for an address: use 1 to 64 lower-case letters, digits, '-' "
                "and '_', and begin with a letter or a digit."
            ).at("name")
        if len(self.entrants) < 2 or len(set(self.entrants)) < len(self.entrants):
            raise LabelStudyError(
                f"The label study '{self.name}' needs two entrants or more, each named once: with one alone a rater "
                "knows who painted everything."
            ).at("entrants")
        if self.suggest and self.mode == "pair":
            raise LabelStudyError("Raters of pairs type no name, so there is none to suggest: take suggest out.").at(
                "suggest"
            )
        self._check_counts()
        for number, gold in enumerate(self.gold):
            self._check_gold(gold, number)
        self._check_gates()

    def _check_counts(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not 0 <= min(self.seeds) <= max(self.seeds):
            raise LabelStudyError(f"The seeds are {list(self.seeds)}: give at least one, 0 or more, each once.").at(
                "seeds"
            )
        if max(self.seeds) > LARGEST_SEED:
            raise LabelStudyError(f"The seed {max(self.seeds)} is too large: at most {LARGEST_SEED}.").at("seeds")
        counts = {"labels_per_image": self.labels_per_image, "labels_per_rater": self.labels_per_rater}
        for key, count in counts.items():
            if count < 1:
                raise LabelStudyError(f"'{key}' is {count}: ask for 1 or more.").at(key)
        if self.sample_seed < 0:
            raise LabelStudyError(f"'sample_seed' is {self.sample_seed}: a seed is 0 or more.").at("sample_seed")
        for key, share in (("repeats", self.repeats), ("gold_share", self.gold_share)):
            if not 0 <= share <= LARGEST_SHARE:
                raise LabelStudyError(f"'{key}' is {share}: a share lies between 0 and {LARGEST_SHARE}.").at(key)
        if bool(self.gold) != (self.gold_share > 0):
            lacking = "a gold_share above 0" if self.gold else "[[gold]] images"
            raise LabelStudyError(
                f"The label study '{self.name}' lacks {lacking}: known answers need both. Write it, or leave both out."
            ).at("gold" if self.gold else "gold_share")

    def _check_gold(self, gold: GoldImage, number: int) -> None:
        if not gold.prompt.strip():
            raise LabelStudyError("A gold image has no prompt. Write its text as its set has it.").at(
                "gold", number, "prompt"
            )
        if not 0 <= gold.seed <= LARGEST_SEED:
            raise LabelStudyError(f"A gold image has the seed {gold.seed}: it is 0 or more.").at("gold", number, "seed")
        if self.mode == "single" and (gold.answer not in ("yes", "no") or gold.other):
            raise LabelStudyError(
                f'A gold image of a study of single images says answer = "yes" or "no", and no other; this one says '
                f"{quoted(gold.answer)}."
            ).at("gold", number, "answer")
        if self.mode == "pair" and (gold.answer or not gold.other or gold.other == gold.entrant):
            raise LabelStudyError(
                "A gold pair names two entrants: `entrant`, whose image resembles the target more, and `other`. It has "
                "no answer besides."
            ).at("gold", number, "other")
        if self.mode == "pair" and gold.item.prompt_id not in self.characters:
            raise LabelStudyError(
                f"A gold pair is about {quoted(gold.prompt)}, which the study does not ask: the page could not say "
                "whom the images should resemble. Take a prompt of the study's kinds."
            ).at("gold", number, "prompt")

    def _check_gates(self) -> None:
        gates = self.gates
        if gates is None:
            return
        if gates.attention:
            raise LabelStudyError("A label study has no attention checks; its gold images are such. Use gold_pass.").at(
                "gates", "attention"
            )
        if gates.left_share_p is not None and self.mode == "single":
            raise LabelStudyError("Single images have no left and right: take left_share_p out.").at(
                "gates", "left_share_p"
            )
        if not gates.declared:
            raise LabelStudyError("[gates] declares no gate. Write one, or take the table out.").at("gates")
        if gates.gold_pass is not None and not self.gold:
            raise LabelStudyError("[gates] has gold_pass, and there are no [[gold]] images. Write some.").at(
                "gates", "gold_pass"
            )
        if gates.repeat_agreement is not None and self.repeats == 0:
            raise LabelStudyError(
                "[gates] has repeat_agreement, and nothing is repeated. Write repeats = 0.1 above the tables."
            ).at("gates", "repeat_agreement")

    @property
    def shown_title(self) -> str:
        """What raters see above the page."""
        return self.title or self.name

    @property
    def answers(self) -> tuple[str, ...]:
        """What raters may answer."""
        return ANSWERS[self.mode]

    @property
    def characters(self) -> dict[str, str]:
        """Whose prompt each is: prompt's id -> target's key."""
        return {prompt.id: prompt.category for prompt in self.prompts}

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Who is shown together: each entrant alone, or every pair of them."""
        return groups_of(self.mode, self.entrants)

    @property
    def hash(self) -> str:
        """SHA-256 of the whole declaration, prompts' texts and drawn images included."""
        return sha256_hex(canonical_json(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """The declaration as JSON would have it."""
        return {
            "name": self.name,
            "mode": self.mode,
            "entrants": list(self.entrants),
            "prompts": self.prompts.to_dict(),
            "targets": [{"key": target.key, "names": list(target.names)} for target in self.targets],
            "items": [[item.prompt_id, item.seed, *item.entrants] for item in self.items],
            "title": self.title,
            "kinds": list(self.kinds),
            "seeds": list(self.seeds),
            "sample_seed": self.sample_seed,
            "labels_per_image": self.labels_per_image,
            "labels_per_rater": self.labels_per_rater,
            "repeats": self.repeats,
            "gold": [asdict(gold) for gold in self.gold],
            "gold_share": self.gold_share,
            "gates": None if self.gates is None else self.gates.to_dict(),
            "consent": self.consent,
            "instructions": self.instructions,
            "language": self.language,
            "crowd": None if self.crowd is None else part_to_dict(self.crowd),
            # Only where it is declared: studies that were opened before there was a choice keep their hash.
            **({"suggest": True} if self.suggest else {}),
        }

    @classmethod
    def from_dict(cls, declared: Mapping[str, Any]) -> "LabelStudy":
        """What `to_dict` wrote."""
        written = declared["prompts"]
        prompts = PromptSet(
            name=written["name"],
            licence=written["licence"],
            source=written["source"],
            prompts=tuple(
                Prompt(**{field: prompt[field] for field in ("text", "category", "challenge", "note")})
                for prompt in written["prompts"]
            ),
        )
        read: dict[str, Any] = {
            "prompts": prompts,
            "targets": tuple(Target(key=one["key"], names=tuple(one["names"])) for one in declared["targets"]),
            "items": tuple(Item(prompt, seed, tuple(entrants)) for prompt, seed, *entrants in declared["items"]),
            "gold": tuple(GoldImage(**one) for one in declared["gold"]),
            "gates": None if declared["gates"] is None else Gates.from_dict(declared["gates"]),
            "crowd": None if declared["crowd"] is None else Crowd(**declared["crowd"]),
        }
        for key in ("entrants", "kinds", "seeds"):
            read[key] = tuple(declared[key])
        assert declared.keys() | {"suggest"} == {field.name for field in fields(cls)}
        return cls(**{**declared, **read})


def groups_of(mode: Mode, entrants: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Who is shown together: each entrant alone, or every pair of them."""
    return tuple((name,) for name in entrants) if mode == "single" else tuple(combinations(entrants, 2))
