"""
Every section and key of the configuration, each declared once.

A new key is one field here: its type, its kind, its default and the sentence that stands beside it in the
file of a first start and in the reference. A section's sentence is the first line of its docstring.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tahoeish.storage.nurl import Nurl

from .kinds import (
    BadValue,
    Base32,
    Boolean,
    Choice,
    DatabaseUrl,
    Directory,
    Duration,
    Endpoints,
    Integer,
    Location,
    Name,
    NurlText,
    Origins,
    Processes,
    Size,
    Texts,
)
from .problems import ConfigError, Problem, shown
from .quantities import KIB, MIB
from .schema import key, optional, tables

MAX_SHARES = 256
TUB_ID_SIZE = 20
SMALLEST_BUDGET = 4 * MIB

_ENDPOINTS = Endpoints()
_BUDGET = Size(at_least=SMALLEST_BUDGET)
_ENCODING = re.compile(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What HTTP clients meet."""

    enabled: bool = key(Boolean(), True, "Whether clients can store and read files here.")
    listen: tuple[str, ...] = key(
        _ENDPOINTS,
        ("tcp:3456:interface=127.0.0.1",),
        "Where to listen; by default only for this machine. Without users, others are turned away anyhow.",
    )
    workers: int = key(
        Processes(64),
        1,
        'How many processes serve clients, and share the bounds on memory; "auto" = as many as there are cores.',
    )
    max_upload_size: int = key(Size(), 0, "The largest file that is accepted; 0 = no limit.")
    idle_timeout: float = key(
        Duration(at_least=1),
        60.0,
        "How long a client may send or read nothing at all before it is given up.",
    )
    body_deadline: float = key(Duration(), 0.0, "How long one upload may take altogether; 0 = as long as it likes.")
    shutdown_grace: float = key(
        Duration(),
        30.0,
        "How long a node that is told to stop lets running transfers finish before it aborts them.",
    )
    unfinished_kept: float = key(
        Duration(),
        7 * 24 * 3600.0,
        "How long an upload that can be resumed is kept after the last request for it; 0 = for ever.",
    )
    spool_limit: int = key(
        Size(),
        1024 * MIB,
        "How much of a file may be kept, encrypted, on this disk, where its length or content must be known first.",
    )
    linger_bytes: int = key(
        Size(),
        256 * MIB,
        "How much of a refused upload is read on and thrown away, so that the client gets to see the answer.",
    )
    linger_time: float = key(Duration(), 30.0, "For how long that is done.")
    open_caps: bool = key(
        Boolean(),
        False,
        "Whether whoever has a file's cap may read it without a password; a cap is a secret itself.",
    )
    url_sha1: bool = key(
        Boolean(),
        False,
        "Whether signed URLs may be signed with SHA-1, too, as old tools for OpenStack Swift do.",
    )
    hook_origins: tuple[str, ...] = key(
        Origins(),
        (),
        'Sites that upload links may tell of files that have come (web hooks), such as ["https://app.example"].',
    )
    cors_origins: tuple[str, ...] = key(
        Origins(),
        (),
        'Sites whose pages may use the node in a browser (CORS), such as ["https://app.example"], as its users may.',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Names for files, and who may use them."""

    database: str = key(
        DatabaseUrl(),
        "",
        "A PostgreSQL database, so that several gateways share one catalogue; a file in the node's directory if empty.",
    )
    versions_kept: float = key(
        Duration(),
        30 * 86400.0,
        "How long a file or folder that was replaced or removed can be brought back.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """WebDAV, at `/files`."""

    refuse: tuple[str, ...] = key(
        Texts("pattern"),
        (),
        'Names that nothing new gets, such as ["._*", ".DS_Store"], which macOS would put into every folder.',
    )
    propfind_limit: int = key(
        Integer(0, 10_000_000),
        10_000,
        "How many entries a whole tree may have that a client wants listed at once (Depth: infinity); 0 = never.",
    )
    public_names: tuple[str, ...] = key(
        Texts("host name"),
        (),
        "Names by which clients know this node, if a proxy before it tells another one (Host, X-Forwarded-Host).",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a file becomes shares."""

    needed: int = key(Integer(1, MAX_SHARES), 2, "How many shares suffice to read a file back.")
    total: int = key(Integer(1, MAX_SHARES), 3, "How many shares are made of a file.")
    happy: int = key(
        Integer(0, MAX_SHARES),
        0,
        "On how many different peers shares must lie for an upload to count; 0 = by the number of peers.",
    )
    segment_size: int = key(
        Size(4 * KIB, MIB),
        MIB,
        "The largest piece of a file that is encrypted and encoded at once.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How many bytes the node holds at most; whoever would bring more has to wait."""

    uploads: int = key(_BUDGET, 128 * MIB, "Bodies on their way in, all clients together.")
    work: int = key(_BUDGET, 64 * MIB, "Shares between the codec and the peers.")
    downloads: int = key(_BUDGET, 48 * MIB, "Blocks and plaintext on their way out, all clients together.")
    unpacking: int = key(_BUDGET, 64 * MIB, "What bodies that come packed (`Content-Encoding`) are unpacked in.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """What an upload's answer promises."""

    sync: bool = key(
        Boolean(),
        True,
        "Whether shares are on the disk, not only in the system's cache, before an upload is answered.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One place for shares: a folder, which can be on a disk of its own, or a storage node elsewhere."""

    directory: Path | None = optional(Directory(), "A folder; a relative path counts from the node's directory.")
    nurl: Nurl | None = optional(
        NurlText(),
        "A storage node instead, by what `tahoeish storage nurl` prints there. It is a secret: who has it can use it.",
    )
    nickname: str = key(
        Name(), "", "What messages call this peer; the folder as it is written here, or the node's address, if empty."
    )
    permutation_seed: str = key(
        Base32(),
        "",
        "What a storage node's place among others is computed from, in base32; its key if empty. Folders bring their"
        " own.",
    )
    tub_id: str = key(
        Base32(TUB_ID_SIZE),
        "",
        "What a storage node's leases are made with, as Tahoe-LAFS clients do it; made from the seed if empty.",
    )
    enabled: bool = key(Boolean(), True, "Whether shares are stored and looked for there.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The peers that keep the shares."""

    stall_timeout: float = key(
        Duration(at_least=0.1),
        10.0,
        "How long a peer may make a reader wait before another one takes its place.",
    )
    write_timeout: float = key(
        Duration(at_least=1),
        120.0,
        "How long a peer may take over one write, or one sync to its disk, before its share is given up.",
    )
    connect_timeout: float = key(Duration(at_least=1), 30.0, "How long connecting to a storage node may take.")
    answer_timeout: float = key(
        Duration(at_least=1),
        60.0,
        "How long a storage node may neither take nor say anything before a request is given up.",
    )
    connections_per_peer: int = key(
        Integer(1, 1000), 16, "How many connections to one storage node are kept for the next requests."
    )
    parallel_writes: int = key(
        Integer(1, 64), 3, "How many pieces of one share may be on their way to a storage node at the same time."
    )
    unknown_length_limit: int = key(
        Size(at_least=MIB),
        64 * KIB * MIB,
        "The room that a storage node is asked for when nobody knows how long the share will be.",
    )
    peers: tuple[Peer, ...] = tables(Peer)

    @property
    def enabled_peers(self) -> tuple[Peer, ...]:
        return tuple(peer for peer in self.peers if peer.enabled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Keeping shares for other nodes, which `tahoeish storage nurl` tells how to get here."""

    enabled: bool = key(Boolean(), False, "Whether this is a storage node, too.")
    listen: tuple[str, ...] = key(
        _ENDPOINTS,
        ("tcp:3457:interface=127.0.0.1",),
        "Where to listen for other nodes. TLS is spoken there.",
    )
    location: str = key(
        Location(),
        "",
        "Host and port by which other nodes get here, as it stands in the NURL; what `listen` says first if empty.",
    )
    directory: Path = key(
        Directory(),
        Path("storage"),
        "The folder for the shares, which may be that of a Tahoe-LAFS node; a relative path counts from the node's"
        " directory.",
    )
    permutation_seed: str = key(
        Base32(),
        "",
        "What this node's place among others is computed from, in base32, to take over another node's; by its key if"
        " empty.",
    )
    read_only: bool = key(Boolean(), False, "Whether shares are only given out, and no new ones taken.")
    reserved_space: int = key(Size(), 1024 * MIB, "How much of the disk is left free.")
    max_share_size: int = key(Size(), 0, "The largest share that is taken; 0 = no limit.")
    max_mutable_request: int = key(
        Size(at_least=MIB),
        128 * MIB,
        "The longest single change to a mutable file; also the memory for all that are under way.",
    )
    max_connections: int = key(Integer(1, 1000000), 1000, "How many connections there can be at the same time.")
    idle_timeout: float = key(
        Duration(at_least=1),
        60.0,
        "How long another node may send or read nothing at all before its connection is closed.",
    )
    upload_idle_limit: float = key(
        Duration(at_least=1),
        1800.0,
        "How long nothing may be written to an unfinished share before it is thrown away, or, if its upload can be"
        " resumed, put aside for at most 14 days.",
    )
    expire: bool = key(
        Boolean(),
        False,
        "Whether shares are removed once all of their leases have expired; `tahoeish storage expire --dry-run` tells"
        " which those are.",
    )
    expire_after: float = key(
        Duration(),
        0.0,
        "How long after it was added or renewed a lease expires; 0 = when it says itself, which is 31 days after.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """How many threads work beside the reactor."""

    seal: int = key(Integer(0, 256), 0, "For encryption and erasure coding; 0 = as many as there are cores.")
    disk: int = key(Integer(1, 256), 4, "For reading and writing shares.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the node writes about itself."""

    level: str = key(
        Choice(("debug", "info", "warn", "error", "critical")),
        "info",
        "The least important message that is written.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration that has passed every check. Peers' directories are absolute."""

    gateway: Gateway = field(default_factory=Gateway)
    catalogue: Catalogue = field(default_factory=Catalogue)
    files: Files = field(default_factory=Files)
    encoding: Encoding = field(default_factory=Encoding)
    grid: Grid
    memory: Memory = field(default_factory=Memory)
    durability: Durability = field(default_factory=Durability)
    storage: Storage = field(default_factory=Storage)
    threads: Threads = field(default_factory=Threads)
    log: Log = field(default_factory=Log)

    def overridden(self, *, encoding: str | None, listen: Sequence[str] | None) -> "Config":
        """The same, with what the command line's options say instead, where they are given."""
        config = self
        if encoding is not None:
            config = config.with_encoding(encoding)
        if listen is not None:
            config = config.with_listen(listen)
        return config

    def with_encoding(self, text: str) -> "Config":
        """
        The same with another `needed/total`, as in `--encoding 3/10`.

        `happy` is chosen anew: a number that was set belonged to the other pair. Raises `ConfigError`.
        """
        match = _ENCODING.fullmatch(text)
        if match is None:
            raise _bad_option("--encoding", f'{shown(text)} is not needed/total, such as "3/10"')
        needed, total = map(int, match.groups())
        if not 1 <= needed <= MAX_SHARES or not 1 <= total <= MAX_SHARES:
            raise _bad_option("--encoding", f"{text}: there can be 1 to {MAX_SHARES} shares")
        if needed > total:
            raise _bad_option(
                "--encoding",
                f"{text}: {needed} shares needed of only {total} made; did you mean {total}/{needed}?",
            )
        return replace(self, encoding=replace(self.encoding, needed=needed, total=total, happy=0))

    def with_listen(self, endpoints: Sequence[str]) -> "Config":
        """The same, listening elsewhere, as in `--listen tcp:8080`. Raises `ConfigError`."""
        try:
            listen = _ENDPOINTS.read(list(endpoints))
        except BadValue as error:
            raise _bad_option("--listen", *error.messages) from error
        return replace(self, gateway=replace(self.gateway, listen=listen))


def _bad_option(option: str, *messages: str) -> ConfigError:
    return ConfigError([Problem(None, option, message) for message in messages], "tahoeish")
