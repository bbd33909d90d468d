"""The record of every run, and of every model, in MLflow: the only rooms that import it.

`connection` reaches it and `patience` waits for it, `runs` opens and closes runs, `facts` fills them,
`outbox` keeps what it could not be told, `retention` says what may go, `registry` knows which
model is champion, and `served` is what the registry serves.
"""
