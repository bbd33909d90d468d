"""Faults injected into nights, and whether the next night makes good what they did.

`nights` starts and ends nights, `seeding` makes the homes they run in, `endings` says what a home
holds in the end and what is wrong with it, `kills`, `damage`, `shortage`, `company`, `clock` and
`tracking` inject one kind of fault each, and `catalogue` lists them all.
"""
