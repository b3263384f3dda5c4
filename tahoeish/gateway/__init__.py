"""
What HTTP clients see.

- The **root** (`root`) is the tree of resources.
- A **resource** (`resource`) is asked when the head of a request is in, one coroutine per method.
- **Uploads** (`upload`) are bodies and forms on their way into the grid; **files** (`file`) are caps on their way out.
- **Directories** (`directory`) are made of what a client sends (`mkdir`), shown as a **listing** (`listing`), and
  walked through; `t=json` gives the **description** (`description`) of whatever a cap names.
- **Pages** (`page`, `pages/`) are for people, with scripts that send files and show what the node is doing.
- Names for files and folders are WebDAV's business (`dav/`).
- **Backups** (`backup/`) are folders of names as directories, and directories as folders.
- A **check** (`check`) tells whether all of a file is there, and has it repaired.
- A **problem** (`errors`) is how anything that goes wrong is told: one status per error, decided in one place.
- **Ranges** (`ranges`) and **conditions** (`conditions`) are what HTTP lets a client say about a file.
"""
