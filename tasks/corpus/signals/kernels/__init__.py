"""Compiled passes over the bytes of texts; `signals.scan` is the way in and says what is measured.

`reading` decodes UTF-8 once, counts characters, words and lines, and leaves a hash and a length of
every word and line, in which `repetition` finds what is repeated. Nothing here knows Unicode: a table
gives each code point its bits (`layout`).

Hashes have 64 bits. A collision could only make two different pieces of one text count as equal, which
among a million pieces has a chance of 3e-8.

Importing one of these modules imports numba; machine code is compiled once and kept where `scan` says.
"""
