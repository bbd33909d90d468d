"""The record of every run, and of every model, in MLflow: the only rooms that import it.

`connection` reaches it, `runs` opens and closes runs, `facts` fills them, `registry` knows which
model is champion, and `served` is what the registry serves.
"""
