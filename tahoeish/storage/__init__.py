"""
Shares on disk.

- A **share** is what a storage node keeps for a file: one of n, known by the file's storage index and a number.
- A **container** (`container`) is the file that holds a share.
- A **lease** (`leases`) says who wants a share kept, and until when.
- A **share store** (`shares`) is a directory of containers, with one owner.
- An **incoming share** is one that is being written; nobody sees it until it is committed.
"""
