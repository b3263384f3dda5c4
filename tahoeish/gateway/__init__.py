"""
What HTTP clients see.

- The **root** (`root`) is the tree of resources.
- A **resource** (`resource`) is asked when the head of a request is in, one coroutine per method.
- **Uploads** (`upload`) are bodies and forms on their way into the grid; **files** (`file`) are caps on their way out.
- A **problem** (`errors`) is how anything that goes wrong is told: one status per error, decided in one place.
- **Ranges** (`ranges`) and **conditions** (`conditions`) are what HTTP lets a client say about a file.
"""
