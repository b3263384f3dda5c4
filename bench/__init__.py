"""
What nodes do with memory, disks and time, measured from outside.

A `Node` is a whole node in a process and a directory of its own; a `Store` is anything that files are put into and got
from: a gateway and ten storage nodes, ours (`grid`) or stock ones (`stock`), or another program (`peers`). `client`
talks to them as one program does, `crowd` and `slow_crowd` as five hundred do, `probe` as somebody who only wants a
small file meanwhile. A `Watch` looks at a node's process; `kernels` does the parts of the work without a node. Each
module in `rows` measures one promise and says what it found in a `Finding`; a `Report` makes tables and charts of them.
"""
