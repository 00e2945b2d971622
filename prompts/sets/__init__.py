"""Prompt sets: what can be asked by name. To add one, write its module, with `load` and `FACTS`, and a line below."""

PROMPT_SETS: dict[str, str] = {
    "parti": "prompts.sets.parti:load",
    "demo": "prompts.sets.demo:load",
    "characters": "prompts.sets.characters:load",
    "celebrities": "prompts.sets.celebrities:load",
    "logos": "prompts.sets.logos:load",
    "controls": "prompts.sets.controls:load",
}
