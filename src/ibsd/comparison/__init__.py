"""Fair comparisons of ways to train: paired runs, made once, and what their differences say
(docs/method.md 8).

Read in this order: `design` (what is compared), `identity` (what makes two runs the same run),
`run` (the record of one), `store` (keeping it and finding it again), `pool` (making many),
`pairing` (whether two runs are a pair), `statistics`, and `summary` (from records to `results`).
"""
