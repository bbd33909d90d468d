"""Hyper-parameter search: the space, the study, its trials and its figures. Only here is Optuna known."""
