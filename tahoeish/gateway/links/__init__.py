"""
Addresses that are an authority of their own: whoever has one needs no account, and may do just what it says.

`tempurl` is pure: it reads, checks and makes signed URLs. The other modules serve them.
"""
