"""
The gateway's view of many peers.

- A **peer** (`peer`) keeps shares: a folder (`local`), or a storage node elsewhere.
- The **ring** and **happiness** (`placement`) say which peer gets which share, and when that is good enough.
- An **upload** (`upload`) sends a file while it arrives, each share through a **share stream** (`sharestream`).
- A **download** (`download`) rebuilds it from any k good shares.
- A **grid error** (`errors`) names every peer, and what it said.
"""
