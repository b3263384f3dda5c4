"""Tells `twistd` and `twist` of the node. Loaded whenever anybody runs one, so it imports nothing of ours."""

from twisted.application.service import ServiceMaker

tahoeish = ServiceMaker(
    "tahoeish",
    "tahoeish.node.tap",
    "A storage node that encrypts, erasure-codes and distributes an upload while it arrives.",
    "tahoeish",
)
