"""Prompt sets: what can be asked by name. To add one, write its module, with `load` and `FACTS`, and a line below."""

PROMPT_SETS: dict[str, str] = {
    "parti": "prompts.sets.parti:load",
    "demo": "prompts.sets.demo:load",
}
