"""What Finder and Windows send, in order and with their headers, when somebody drops a file into a folder."""

from __future__ import annotations

import re

from tests.gateway.dav.webdav import Folder, responses
from tests.nodes import Answer, chunk, content_of, head

FINDER = {"User-Agent": "WebDAVFS/3.0.0 (03008000) Darwin/23.1.0 (arm64)", "Accept": "*/*"}
FINDER_STAT = """<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:">
<D:prop>
<D:getlastmodified/>
<D:getcontentlength/>
<D:creationdate/>
<D:resourcetype/>
</D:prop>
</D:propfind>
"""
FINDER_QUOTA = """<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:">
<D:prop>
<D:quota-available-bytes/>
<D:quota-used-bytes/>
<D:quota/>
<D:quotaused/>
</D:prop>
</D:propfind>
"""
FINDER_LOCK = """<?xml version="1.0" encoding="utf-8"?>
<D:lockinfo xmlns:D="DAV:">
<D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype>
<D:owner>
<D:href>http://www.apple.com/webdav_fs/</D:href>
</D:owner>
</D:lockinfo>
"""

WINDOWS = {
    "User-Agent": "Microsoft-WebDAV-MiniRedir/10.0.19045",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "translate": "f",
}
WINDOWS_LOCK = (
    '<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype><D:owner><D:href>DESKTOP\\somebody</D:href></D:owner></D:lockinfo>"
)
WINDOWS_TIMES = (
    '<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:">'
    "<D:set><D:prop><Z:Win32CreationTime>Sun, 09 Sep 2001 01:46:39 GMT</Z:Win32CreationTime>"
    "<Z:Win32LastAccessTime>Sun, 09 Sep 2001 01:46:41 GMT</Z:Win32LastAccessTime>"
    "<Z:Win32LastModifiedTime>Sun, 09 Sep 2001 01:46:40 GMT</Z:Win32LastModifiedTime>"
    "<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"
)


class Finder:
    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def __call__(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": "text/xml"} if body else {}
        return self.folder.request(method, path, body, {**FINDER, **kind, **told})

    def put(self, path: str, content: bytes, token: str) -> Answer:
        """In chunks, with the length beside them."""
        headers = {
            **FINDER,
            "Transfer-Encoding": "chunked",
            "X-Expected-Entity-Length": str(len(content)),
            "If": f"({token})",
            "Expect": "100-continue",
        }
        with self.folder.node.connect() as client:
            client.send(head("PUT", self.folder.at(path), headers))
            assert client.interim_or_final("PUT").status == 100
            for start in range(0, len(content), 65_536):
                client.send(chunk(content[start : start + 65_536]))
            client.send(chunk(b""))
            return client.answer("PUT")

    def drop(self, path: str, content: bytes) -> None:
        assert self("PROPFIND", path, FINDER_STAT, Depth="0").status == 404
        assert self("PUT", path).status == 201
        lock = self("LOCK", path, FINDER_LOCK, Depth="0", Timeout="Second-600")
        assert lock.status == 200
        token = str(lock.headers["Lock-Token"])
        assert self("PROPFIND", path, FINDER_STAT, Depth="0").status == 207
        assert self.put(path, content, token).status == 204
        # It writes a second time, with the same token.
        assert self.put(path, content, token).status == 204
        assert self("LOCK", path, If=f"({token})", Timeout="Second-600").status == 200
        assert self("UNLOCK", path, Lock_Token=token).status == 204


def test_finder_mounts(folder: Folder) -> None:
    finder = Finder(folder)
    answer = finder("OPTIONS", "")
    assert "2" in re.split(", *", str(answer.headers["DAV"]))
    assert finder("PROPFIND", "", FINDER_STAT, Depth="0").status == 207
    (found,) = responses(finder("PROPFIND", "", FINDER_QUOTA, Depth="0")).values()
    assert "{DAV:}quota-used-bytes" in found[200]
    for probe in (".metadata_never_index", ".ql_disablethumbnails", ".Spotlight-V100", "._.", ".hidden"):
        assert finder("PROPFIND", probe, FINDER_STAT, Depth="0").status == 404


def test_finder_drops_a_file(folder: Folder) -> None:
    finder = Finder(folder)
    content = content_of(300_000)
    finder.drop("file", content)
    finder.drop("._file", content_of(4096))
    assert folder.get("file") == content and folder.names() == {"file", "._file"}


def test_finder_replaces_what_it_has_locked(folder: Folder) -> None:
    finder = Finder(folder)
    folder.put("file", b"old")
    token = str(finder("LOCK", "file", FINDER_LOCK, Depth="0", Timeout="Second-600").headers["Lock-Token"])
    assert finder.put("file", content_of(100_000), token).status == 204
    assert finder("GET", "file").body == content_of(100_000)
    assert finder("MOVE", "file", Destination=f"http://node{folder.at('renamed')}", If=f"({token})").status == 201
    assert folder.names() == {"renamed"}


def test_windows_looks_for_the_share_from_the_root_down(folder: Folder) -> None:
    for target in ("/", "/files", folder.address):
        assert folder.node.request("OPTIONS", target, headers=WINDOWS).headers["MS-Author-Via"] == "DAV"
        assert folder.node.request("PROPFIND", target, headers={**WINDOWS, "Depth": "0"}).status == 207


def test_windows_drops_a_file(folder: Folder) -> None:
    content = content_of(300_000)

    def windows(method: str, body: bytes | str = b"", **headers: str) -> Answer:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return folder.request(method, "file.txt", body, {**WINDOWS, **told})

    assert windows("PROPFIND", Depth="0").status == 404
    assert windows("PUT").status == 201
    lock = windows("LOCK", WINDOWS_LOCK, Depth="0", Timeout="Second-3600")
    assert lock.status == 200
    token = str(lock.headers["Lock-Token"])
    assert set(responses(windows("PROPPATCH", WINDOWS_TIMES, If=f"({token})"))[folder.at("file.txt")]) == {200}
    assert windows("HEAD").headers["Content-Length"] == "0"
    assert windows("PUT", content, If=f"({token})").status == 204
    assert set(responses(windows("PROPPATCH", WINDOWS_TIMES, If=f"({token})"))[folder.at("file.txt")]) == {200}
    # Without brackets, as it may send it.
    assert windows("UNLOCK", Lock_Token=token.strip("<>")).status == 204

    assert folder.get("file.txt") == content
    assert folder.property("file.txt", "{DAV:}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"
