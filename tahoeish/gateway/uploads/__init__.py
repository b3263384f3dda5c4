"""
Uploads that survive: one session behind many dialects.

- A **session** (`session`) is an upload over several requests: it is told what happens, and **decides** (`decisions`)
  what is done about it. It does no I/O, and knows no time but what it is told.
- A **dialect** says what a request **asks** (`asked`) of a session, and in which headers the answer is: `tus`, `ietf`
  (the IETF's resumable uploads), `pieces` (Content-Range) and `nextcloud` (numbered chunks, which have to be put in
  order first).
"""
