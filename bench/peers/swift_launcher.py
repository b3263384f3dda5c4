"""
`swift_launcher.py FOLDER SERVER ARGUMENTS`: a server of Swift's, with the storage policies of FOLDER/swift.conf.

Swift reads its policies when it is imported, from one place of the system, and its setting `swift_dir` doesn't make it
read them again. Without this, a policy that is kept elsewhere is ignored without a word, and what one gets are copies.
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    folder, server = Path(sys.argv[1]), sys.argv[2]
    assert "swift.common.storage_policy" not in sys.modules, "the policies have been read already"
    utils: Any = import_module("swift.common.utils")
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    policy = import_module("swift.common.storage_policy").POLICIES.default
    if policy.policy_type != "erasure_coding":
        sys.exit(f"the default policy is {policy.policy_type}, not an erasure code")
    sys.argv = sys.argv[2:]
    runpy.run_path(server, run_name="__main__")


if __name__ == "__main__":
    main()
