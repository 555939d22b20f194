"""Batches that survive anything: the queue, its workers, and the files around it.

`store` is the durable truth and `job` its rules; `batches` is the clients' side of the queue, `queue`
the workers'; `runner` does the work. docs/decisions/0004-jobs.md says why it is built like this.
"""
