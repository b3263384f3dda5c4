"""
How a database of an earlier release becomes one of this release: Alembic's scripts, run by `migrate`.

They are never changed once released, so they don't use `schema`.
"""
