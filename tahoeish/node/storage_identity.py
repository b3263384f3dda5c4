"""What a storage node is known by: its certificate, its swissnum, and the NURL in which it tells both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tahoeish.chk import base32
from tahoeish.node.directory import NodeDirectory, NodeDirectoryError, told, write_durably
from tahoeish.storage.certificate import BadCertificate, ServerCertificate
from tahoeish.storage.nurl import BadNurl, Nurl
from tahoeish.streams.tls import spki_hash

_SWISSNUM_BYTES = 20


class IdentityFiles:
    """The files in a node's private folder. Those of a Tahoe-LAFS node can be put in their place."""

    def __init__(self, private: Path) -> None:
        self.certificate = private / "storage.pem"
        self.swissnum = private / "storage.swissnum"
        self.nurl = private / "storage.nurl"


@dataclass(frozen=True)
class StorageIdentity:
    """
    `permutation_seed` decides where among all storage nodes clients look for this one, and what they store here.
    """

    certificate: ServerCertificate
    swissnum: str = field(repr=False)
    permutation_seed: bytes

    @classmethod
    def complete(cls, files: IdentityFiles, seed: str, random_bytes: Callable[[int], bytes]) -> StorageIdentity:
        """Read the files, and make those that are missing. Raises `NodeDirectoryError`."""
        with told("cannot set up the storage node's identity"):
            if not files.certificate.exists():
                write_durably(files.certificate, ServerCertificate.generate().to_pem(), 0o600)
            if not files.swissnum.exists():
                write_durably(files.swissnum, f"{base32.encode(random_bytes(_SWISSNUM_BYTES))}\n".encode(), 0o600)
        return cls.read(files, seed)

    @classmethod
    def read(cls, files: IdentityFiles, seed: str) -> StorageIdentity:
        with told("cannot read the storage node's identity"):
            pem = files.certificate.read_bytes()
            swissnum = files.swissnum.read_text(encoding="ascii", errors="replace").strip()
        try:
            certificate = ServerCertificate.from_pem(pem)
        except BadCertificate as error:
            raise NodeDirectoryError(f"{files.certificate}: {error}; put its backup in its place") from error
        # What clients compute their places from must not change, so that they find again what they have stored.
        return cls(certificate, swissnum, base32.decode(seed) or spki_hash(certificate.certificate))

    def nurl(self, host: str, port: int) -> Nurl:
        """Raises `NodeDirectoryError`."""
        try:
            return Nurl(spki_hash(self.certificate.certificate), host, port, self.swissnum)
        except BadNurl as error:
            raise NodeDirectoryError(f"no NURL can be made for this storage node: {error}") from error

    def servers_yaml(self, nurl: str) -> str:
        """
        What to put into the `private/servers.yaml` of a Tahoe-LAFS client.

        The FURL leads nowhere. Clients insist on one, and take from it what their secrets for this node depend on.
        """
        server_id = f"v0-{base32.encode(spki_hash(self.certificate.certificate))}"
        furl = f"pb://{base32.encode(self.certificate.tub_id)}@tcp:127.0.0.1:1/none"
        return (
            "storage:\n"
            f"  {server_id}:\n"
            "    ann:\n"
            f"      nickname: {server_id[:11]}\n"
            f"      anonymous-storage-FURL: {furl}\n"
            "      anonymous-storage-NURLs:\n"
            f"        - {nurl}\n"
            f"      permutation-seed-base32: {base32.encode(self.permutation_seed)}\n"
        )


def described(directory: NodeDirectory, *, servers_yaml: bool) -> str:
    """The NURL that the node told when it was last started, or the same for a Tahoe-LAFS client's configuration."""
    config = directory.config().storage
    files = IdentityFiles(directory.private_path)
    if not config.enabled:
        raise NodeDirectoryError(f"{directory.path} is no storage node; set enabled in [storage], and start it")
    if not files.nurl.exists():
        raise NodeDirectoryError(f"the storage node in {directory.path} has no NURL yet; start it once")
    with told(f"cannot read {files.nurl}"):
        nurl = files.nurl.read_text(encoding="ascii").strip()
    if not servers_yaml:
        return f"{nurl}\n"
    return StorageIdentity.read(files, config.permutation_seed).servers_yaml(nurl)
