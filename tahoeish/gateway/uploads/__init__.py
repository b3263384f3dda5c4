"""
Uploads that survive: one session behind many dialects.

- A **session** (`session`) is an upload over several requests: it is told what happens, and **decides** (`decisions`)
  what is done about it. It does no I/O, and knows no time but what it is told.
- The **keeper** (`keeper`) has all sessions, most of them only in the catalogue (`rows`). A **live** one (`live`) is at
  hand in this process, carries out what its session decides, and brings its file to its **target** (`targets`).
- A **dialect** (`dialects`) says what a request **asks** (`asked`) of a session, and in which headers the answer is.
"""
