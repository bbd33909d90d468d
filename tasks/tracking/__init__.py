"""The record of every run, and of every model, in MLflow: the only rooms that import it.

`runs` tells what a night did, `registry` which model is champion, `served` is what the registry
serves.
"""
