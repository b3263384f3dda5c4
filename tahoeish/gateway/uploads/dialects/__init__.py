"""
What clients speak who upload over several requests.

`tus`, `ietf` (the IETF's resumable uploads), `pieces` (Content-Range) and `nextcloud` (numbered chunks, which have to
be put in order first) are pure: they read what a request asks, and write what the answer says. Those that end in
`_server` bring requests and sessions together.
"""
