"""
Shares on disk, and the protocol in which other nodes ask for them.

- A **share** is what a storage node keeps for a file: one of n, known by the file's storage index and a number.
- A **container** (`container`) is the file that holds a share.
- A **lease** (`leases`) says who wants a share kept, and until when.
- A **share store** (`shares`) is a directory of containers, with one owner.
- An **incoming share** (`incoming`) is one that is being written; nobody sees it until it is committed.
- A **step** (`steps`) is work on a share that waits for the disk; steps that wait together share their syncs.
- A **mutable store** (`mutable`) keeps shares of the other kind in the same directory, those of files that change.
- A **collector** (`expiry`) removes the shares whose leases have all expired.
- An **upload** (`uploads`) is an incoming share that somebody sends over the wire, piece by piece.
- A **NURL** (`nurl`) says where a storage node is, how it is recognised (`certificate`) and what lets one in.
- The **wire** (`wire`) is the protocol's words for both sides; `http` serves it.
"""
