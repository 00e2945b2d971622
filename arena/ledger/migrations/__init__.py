"""The schema's history, one file per revision, oldest first; `arena.ledger.schema` applies it."""
