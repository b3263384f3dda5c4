"""
Names for caps: the catalogue, in SQLite or PostgreSQL.

`Database` opens the database and runs transactions. `Catalogue` is what everybody else uses: each call is one
transaction and blocks. A `Viewer` says who looks, a `Path` where, an `Entry` is what lies there, `Conditions` are what
the request demands to be so. A `Lock` keeps others from changing an entry, a `Version` is what a name stood for before,
and a `Share` lets another user into a folder. An `Item` (`snapshots`) is an entry on its way out of the catalogue or
in, with the whole tree that it is part of.

Nothing here knows HTTP, Twisted or the grid. To the catalogue, a cap is a text.
"""
