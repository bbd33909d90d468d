"""What valid data means: suites in Great Expectations' format, custom expectations, the runner.

Imports nothing of ours.
"""
