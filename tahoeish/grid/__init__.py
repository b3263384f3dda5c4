"""
The gateway's view of many peers.

- A **peer** (`peer`) keeps shares: a folder (`local`, `local_shares`), or a storage node elsewhere (`gbs`).
- The **ring** and **happiness** (`placement`) say which peer gets which share, and when that is good enough.
- An **upload** (`upload`) sends a file while it arrives, each share through a **share stream** (`sharestream`).
- A **download** (`download`) rebuilds it from any k good shares.
- **Directories** (`directories`) are files that are read and written as a whole.
- A **check** (`check`) finds out which shares are there and good, a **repair** (`repair`) stores again what is missing.
- A **grid error** (`errors`) names every peer, and what it said.
"""
