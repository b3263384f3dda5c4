"""
What the pages for people are made of: the style sheet and the scripts that a browser fetches (`assets`), what the pages
are allowed to do (`policy`), the part in which files are put in (`upload_panel`), and what the node is doing (`status`,
`status_page`), as each of its processes tells (`report`), with what went wrong lately (`trouble`).

A page is whole without its scripts. It names nothing of another host, and has no script or style in itself, so that its
policy can forbid all of that.
"""
