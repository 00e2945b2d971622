"""Every text that a rater sees, one TOML file per language; to add a language, write its file."""
