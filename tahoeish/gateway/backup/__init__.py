"""
Backups of names: a folder of the catalogue as an immutable directory in the grid, and back.

- A **snapshot** (`snapshot`) is the cap of a directory that holds what was in a folder at one moment.
- A **restoration** (`restoration`) brings a directory, however it was made, into a folder.
- **Metadata** (`metadata`) is how an entry is described in a directory.
- A **scratch file** (`scratch`) keeps a whole tree between the catalogue and the grid, which differ in pace.
- The **server** (`server`) answers requests for either, and tells how far it is.
"""
