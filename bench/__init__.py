"""
What nodes do with memory, disks and time, measured from outside.

A `Node` is a whole node in a process and a directory of its own; a `RunningGrid` is a gateway and ten storage nodes,
ours (`grid`) or stock ones (`stock`). `client` talks to them as one program does, `crowd` and `slow_crowd` as five
hundred do, `probe` as somebody who only wants a small file meanwhile. A `Watch` looks at a node's process. Each module
in `rows` measures one promise and says what it found in a `Finding`; a `Report` makes the table of them.
"""
