"""The ledger: entrants, galleries, studies, pairs and votes in one SQL database, with a hash-chained log per study.

`ledger.Ledger` is the door; `records` are the values that go in and out; nothing outside this folder writes SQL.
"""
