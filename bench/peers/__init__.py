"""
Other programs that store what is sent to them: OpenStack Swift, Flask behind gunicorn, nginx.

Each module starts one, on loopback and in a directory of its own, and shows it as a `Store`. What they need comes from
where everybody gets it (`installation`); nothing of it is left on the system but a folder in the repository.
"""
