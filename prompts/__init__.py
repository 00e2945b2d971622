"""Prompts: what the models are asked. The lightest room: it knows no other and every other knows it."""
