"""
What a node does with memory, disks and time, measured from outside.

A `Node` is a whole node in a process and a directory of its own. `client` talks to it as one program does, `crowd` and
`slow_crowd` as five hundred do, `probe` as somebody who only wants a small file meanwhile. A `Watch` looks at the
node's process. Each module in `rows` measures one promise and says what it found in a `Finding`; `report` makes the
table of them.
"""
