"""The arena: people compare generated images; votes become verdicts. It serves without torch."""
