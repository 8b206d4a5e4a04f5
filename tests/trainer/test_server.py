"""The embedded server as a user meets it: other processes start it, kill it and stand in its way.

Run as root, most of it is done twice: as root, where the server gets an account of its own, and as an
unprivileged account with a home folder of its own.
"""

# ruff: noqa: S108, S607 (other processes, folders and accounts are what this is about)

import fcntl
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from trainer.errors import UserError
from trainer.server import (
    DATABASE,
    EmbeddedServer,
    ThrowawayServer,
    find_binaries,
    home_folder,
    server_account,
)

ROOT = os.geteuid() == 0
REPOSITORY = Path(__file__).parents[2]
as_root = pytest.mark.skipif(not ROOT, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Person:
    """Somebody at a shell: an identity, a Python that works for it, a folder that the server may use."""

    def __init__(self, folder: Path, python: str, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.python = python
        self.identity = identity
        self.home = folder / "home"

    def environment(self, **extra: str) -> dict[str, str]:
        unwanted = ("PG", "DATABASE_URL", "PATTERN_CONFIDENCE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        path = os.pathsep.join([str(REPOSITORY), *(entry for entry in sys.path if "site-packages" in entry)])
        mine = {"PYTHONPATH": path, "HOME": str(self.folder), "PATTERN_CONFIDENCE_HOME": str(self.home)}
        return {**kept, **mine, "PYTHONDONTWRITEBYTECODE": "1", **extra}

    def popen(self, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> Any:
        return subprocess.Popen(
            [self.python, *arguments],
            env=self.environment(**(env or {})),
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **self.identity,
            **options,
        )

    def trainer(self, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> Any:
        """Run ``trainer``; hangs into the time limit when the server keeps our pipes open."""
        with self.popen("-m", "trainer", *arguments, env=env, **options) as process:
            try:
                out, err = process.communicate(timeout=40)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def url(self, **env: str) -> str:
        done = self.trainer("db", "url", env=env)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return str(done.stdout).removesuffix("\n")

    def complaint(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Run what must fail, and return its one sentence."""
        done = self.trainer(*(arguments or ("db", "start")), env=env)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        assert done.stderr.startswith("trainer: ") and done.stderr.endswith(".\n"), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        return str(done.stderr)

    def query(self, url: str, statement: str) -> Any:
        """Run a statement as this person, with psql: our own identity may not pass the socket's folder."""
        psql = [str(find_binaries().folder / "psql"), "-XAtq", url, "-c", statement]
        done = subprocess.run(
            psql, env=self.environment(), cwd="/", text=True, capture_output=True, timeout=30, **self.identity
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def data(self) -> Path:
        return self.home / "server" / "data"

    def server_pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().partition("\n")[0])

    def owner(self) -> dict[str, Any]:
        """Return what runs a process as the owner of the cluster."""
        if not ROOT:
            return {}
        status = self.data.stat()
        return {"user": status.st_uid, "group": status.st_gid, "extra_groups": []}


def usable_python(identity: dict[str, Any]) -> str | None:
    """Find a Python of this version that the account can run with our packages."""
    same = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, same):
        try:
            person = Person(Path("/"), candidate, identity)
            with person.popen("-c", "import psycopg, psycopg_binary, platformdirs, typer, trainer") as probe:
                probe.communicate(timeout=30)
        except OSError:
            continue
        if probe.returncode == 0:
            return candidate
    return None


def make_person(kind: str) -> Iterator[Person]:
    identity: dict[str, Any] = {}
    python: str | None = sys.executable
    if kind == "unprivileged":
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        python = usable_python(identity)
        if python is None:
            pytest.skip("the account nobody can run no Python with these packages")
    # Not tmp_path: its parents are closed to other accounts. In memory, durable writes cost nothing.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    folder.chmod(0o755)
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    person = Person(folder, python, identity)
    try:
        yield person
    finally:
        for home in folder.glob("*/server"):
            person.trainer("db", "stop", env={"PATTERN_CONFIDENCE_HOME": str(home.parent)})
        shutil.rmtree(folder)


KINDS = ["self", pytest.param("unprivileged", marks=as_root)]


@pytest.fixture(scope="module", params=KINDS)
def settled(request: pytest.FixtureRequest) -> Iterator[Person]:
    """Somebody whose server exists; shared, so a test leaves it able to start."""
    for person in make_person(request.param):
        person.url()
        yield person


@pytest.fixture(scope="module")
def ours() -> Iterator[Person]:
    """Ourselves, with a server as in ``settled``, for what does not depend on the account."""
    for person in make_person("self"):
        person.url()
        yield person


@pytest.fixture(params=KINDS)
def person(request: pytest.FixtureRequest) -> Iterator[Person]:
    """Somebody who has never started the server."""
    yield from make_person(request.param)


@pytest.fixture
def newcomer() -> Iterator[Person]:
    """Ourselves, having never started the server."""
    yield from make_person("self")


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)
    return result


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def modes(*folders: Path) -> list[tuple[str, int, int, int]]:
    everything = {part for folder in folders for part in (folder, *folder.parents)}
    return [
        (str(path), status.st_mode, status.st_uid, status.st_gid)
        for path in sorted(everything)
        for status in [path.stat()]
    ]


# -------------------------------------------------------------------------------------------- it just works


def test_first_start_in_a_hostile_environment(person: Person) -> None:
    foreign = {
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGHOST": "nowhere",
        "LC_ALL": "xx_XX.nothing",
        "TZ": "Asia/Tokyo",
    }
    done = person.trainer("db", "start", env={**foreign, "PGUSER": "x", "PGDATABASE": "y"}, umask=0o077)
    assert (done.returncode, done.stderr) == (0, "")
    url = done.stdout.strip()
    assert person.query(url, "SELECT current_database()") == DATABASE
    settings = {
        "TimeZone": "UTC",
        "log_timezone": "UTC",
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": "100",
        "shared_preload_libraries": "",
        "server_encoding": "UTF8",
        "unix_socket_permissions": "0700",
    }
    for name, value in settings.items():
        assert person.query(url, f"SHOW {name}") == value
    assert stat.S_IMODE((person.home / "server" / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE(person.data.stat().st_mode) == 0o700


def test_restart_keeps_url_and_data(settled: Person) -> None:
    url = settled.url()
    settled.query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert settled.trainer("db", "stop").returncode == 0
    with pytest.raises(AssertionError):
        settled.query(url, "SELECT 1")
    assert settled.url() == url
    assert settled.query(url, "SELECT answer FROM kept") == "42"
    settled.query(url, "DROP TABLE kept")


def test_starting_twice_is_one_server(ours: Person) -> None:
    ours.url()
    before = ours.server_pid()
    assert ours.trainer("db", "start").returncode == 0
    assert ours.server_pid() == before


def test_a_dropped_database_is_created_again(ours: Person) -> None:
    url = ours.url()
    ours.query(url.replace(f"/{DATABASE}?", "/postgres?"), f"DROP DATABASE {DATABASE}")
    assert ours.query(ours.url(), "SELECT current_database()") == DATABASE


def test_url_is_understood_by_psycopg_and_sqlalchemy(newcomer: Person) -> None:
    from sqlalchemy import create_engine, text

    from trainer.database import sqlalchemy_url

    url = newcomer.url()
    assert re.fullmatch(r"postgresql://[^\s&]+", url)
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == DATABASE
    for form in (sqlalchemy_url(url), url.replace("postgresql:", "postgresql+psycopg:")):
        engine = create_engine(form)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar() == DATABASE
        engine.dispose()


def test_four_starters_on_a_fresh_folder(person: Person) -> None:
    starters = [person.popen("-m", "trainer", "db", "url") for _ in range(4)]
    answers = [starter.communicate(timeout=60) for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    assert (person.home / "server" / "log").read_text().count("starting PostgreSQL") == 1
    assert [path.name for path in (person.home / "server").iterdir() if ".new-" in path.name] == []


@pytest.mark.parametrize("name", ["a folder with $HOME, \"quotes\" and 'more' & so on", "long" * 40])
def test_awkward_home_folders(newcomer: Person, name: str) -> None:
    newcomer.home = newcomer.folder / name
    account = None if newcomer.identity else server_account()
    if account is not None and not find_binaries().usable_by(account) and '"' in name:
        # The programs would have to be copied below that folder, where initdb cannot call them.
        assert "set PATTERN_CONFIDENCE_HOME to another folder" in newcomer.trainer("db", "url").stderr
        return
    url = newcomer.url()
    assert newcomer.query(url, "SHOW data_directory") == str(newcomer.data)
    socket = Path(newcomer.query(url, "SHOW unix_socket_directories").strip('"'))
    try:
        assert len(str(socket / ".s.PGSQL.5432")) <= 107
        assert newcomer.trainer("db", "stop").returncode == 0
        assert newcomer.url() == url
        assert newcomer.query(url, "SELECT 1") == "1"
    finally:
        newcomer.trainer("db", "stop")
        if not socket.is_relative_to(newcomer.folder):
            shutil.rmtree(socket)


# ------------------------------------------------------------------------------------------------- detached


def test_starter_leaks_no_descriptor(settled: Person, tmp_path: Path) -> None:
    settled.trainer("db", "stop")
    read_end, write_end = os.pipe()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        passed = (write_end, lock.fileno())
        for descriptor in passed:
            os.set_inheritable(descriptor, True)
        assert settled.trainer("db", "start", pass_fds=passed).returncode == 0
        os.close(write_end)
    os.set_blocking(read_end, False)
    assert os.read(read_end, 1) == b""  # BlockingIOError as long as somebody has the other end
    os.close(read_end)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert settled.query(settled.url(), "SELECT 1") == "1"


def test_command_substitution_returns(ours: Person) -> None:
    ours.trainer("db", "stop")
    command = f'x=$("{ours.python}" -m trainer db start) && echo "[$x]"'
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=ours.environment(),
        cwd="/",
        text=True,
        capture_output=True,
        timeout=40,
        **ours.identity,
    )
    assert done.stdout == f"[{ours.url()}]\n"


@on_linux
def test_outlives_starter_terminal_and_process_group(settled: Person) -> None:
    settled.trainer("db", "stop")
    master, slave = os.openpty()
    command = f'"{settled.python}" -m trainer db start; kill -STOP $$'
    shell = subprocess.Popen(
        ["setsid", "-c", "/bin/sh", "-c", command],
        env=settled.environment(),
        cwd="/",
        stdin=slave,
        stdout=slave,
        stderr=slave,
        **settled.identity,
    )
    os.close(slave)
    try:
        wait_for(lambda: Path(f"/proc/{shell.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 40)
        pid = settled.server_pid()
        terminal = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4]
        assert terminal == "0"
        assert os.getsid(pid) != os.getsid(shell.pid)
        os.close(master)  # the terminal is gone
        os.killpg(shell.pid, signal.SIGHUP)
        os.killpg(shell.pid, signal.SIGKILL)
    finally:
        shell.kill()
        shell.wait()
    assert settled.query(settled.url(), "SELECT 1") == "1"
    assert settled.server_pid() == pid


@on_linux
def test_keeps_no_secret_of_its_starter(ours: Person) -> None:
    ours.trainer("db", "stop")
    ours.trainer("db", "start", env={"PGPASSWORD": "tell-nobody"})
    pid = ours.server_pid()
    assert b"tell-nobody" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert Path(f"/proc/{pid}/cwd").resolve() == ours.data


# -------------------------------------------------------------------------------------------------- killing


def test_survives_kill_9_of_a_client(ours: Person) -> None:
    url = ours.url()
    before = ours.server_pid()
    code = "import psycopg, sys, time; c = psycopg.connect(sys.argv[1]); print(1, flush=True); time.sleep(60)"
    with ours.popen("-c", code, url) as client:
        assert client.stdout.readline() == "1\n"
        client.kill()
        client.communicate()
    assert ours.url() == url
    assert ours.server_pid() == before


@on_linux
def test_kill_9_of_the_server(settled: Person) -> None:
    url = settled.url()
    settled.query(url, "CREATE TABLE IF NOT EXISTS committed AS SELECT 1 AS one")
    before = settled.server_pid()
    os.kill(before, signal.SIGKILL)
    assert settled.url() == url
    assert settled.server_pid() != before
    assert settled.query(url, "SELECT one FROM committed") == "1"


@on_linux
def test_kill_9_of_the_server_with_a_backend_that_does_not_notice(newcomer: Person) -> None:
    url = newcomer.url()
    busy = newcomer.popen("-c", BUSY_CLIENT, url)
    try:
        backend = int(busy.stdout.readline())
        is_busy = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND query LIKE 'DO %'"
        wait_for(lambda: newcomer.query(url, is_busy) == "1")
        os.kill(newcomer.server_pid(), signal.SIGKILL)
        time.sleep(0.5)
        assert alive(backend), "this test needs a backend that outlives its server"
        assert newcomer.url() == url
        assert not alive(backend)
        assert newcomer.query(url, "SELECT 1") == "1"
    finally:
        busy.kill()
        busy.communicate()


BUSY_CLIENT = """
import psycopg, sys
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.info.backend_pid, flush=True)
    connection.execute("DO 'DECLARE i bigint := 0; BEGIN LOOP i := i + 1; END LOOP; END'")
"""


@on_linux
@pytest.mark.parametrize("who", ["zombie", "another program", "nobody"])
def test_lock_file_that_names_somebody_else(ours: Person, who: str) -> None:
    url = ours.url()
    lock_file = ours.data / "postmaster.pid"
    left = lock_file.read_text().split("\n")
    ours.trainer("db", "stop")
    other = subprocess.Popen(["sleep", "0" if who == "zombie" else "60"], cwd="/", **ours.owner())
    try:
        if who == "zombie":
            wait_for(lambda: not alive(other.pid))
        elif who == "nobody":
            other.kill()
            other.wait()
        lock_file.write_text("\n".join([str(other.pid), *left[1:]]))
        lock_file.chmod(0o600)
        if ROOT:
            os.chown(lock_file, ours.owner()["user"], ours.owner()["group"])
        assert ours.trainer("db", "status").returncode == 3
        assert ours.trainer("db", "stop").stdout == "not running\n"
        assert ours.url() == url
        assert who != "another program" or other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_socket_that_was_removed(ours: Person) -> None:
    url = ours.url()
    log = ours.home / "server" / "log"
    said_before = log.stat().st_size
    (ours.home / "server" / "socket" / ".s.PGSQL.5432").unlink()
    assert ours.url() == url
    assert "not properly shut down" not in log.read_text()[said_before:]
    assert ours.query(url, "SELECT 1") == "1"


@on_linux
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_interrupted_initdb(person: Person, how: signal.Signals, code: int) -> None:
    starter = person.popen("-m", "trainer", "db", "start", start_new_session=True)
    folder = person.home / "server"
    wait_for(lambda: list(folder.glob("data.new-*/base/1")))
    os.killpg(starter.pid, how)
    _, err = starter.communicate(timeout=20)
    assert starter.returncode == code
    assert "Traceback" not in err
    assert not person.data.exists()
    assert person.query(person.url(), "SELECT 1") == "1"
    assert list(folder.glob("data.new-*")) == []


# ------------------------------------------------------------------------------------------- what is refused


def test_foreign_folders_are_refused(newcomer: Person) -> None:
    data = newcomer.data
    data.mkdir(parents=True)
    (data / "thesis.txt").write_text("precious")
    before = modes(data / "thesis.txt")
    assert "neither empty nor a PostgreSQL data folder" in newcomer.complaint()
    assert modes(data / "thesis.txt") == before
    (data / "thesis.txt").unlink()
    (data / "PG_VERSION").write_text("9.6\n")
    assert "was made by PostgreSQL 9.6" in newcomer.complaint()
    (data / "PG_VERSION").unlink()
    data.rmdir()
    data.write_text("a file")
    assert "not a folder" in newcomer.complaint()
    data.unlink()
    newcomer.url()


def test_home_that_is_a_file(person: Person) -> None:
    blocked = person.folder / "file"
    blocked.write_text("")
    complaint = person.complaint(env={"PATTERN_CONFIDENCE_HOME": str(blocked / "home")})
    assert str(blocked) in complaint and "PATTERN_CONFIDENCE_HOME" in complaint


@as_root
def test_folder_of_another_account(newcomer: Person) -> None:
    newcomer.url()
    for stranger in make_person("unprivileged"):
        for verb in ("start", "stop", "status"):
            complaint = stranger.complaint("db", verb, env={"PATTERN_CONFIDENCE_HOME": str(newcomer.home)})
            assert str(newcomer.home) in complaint and "PATTERN_CONFIDENCE_HOME" in complaint
        complaint = stranger.complaint(env={"PATTERN_CONFIDENCE_HOME": str(newcomer.folder / "mine")})
        assert str(newcomer.folder / "mine") in complaint


def fake_programs(folder: Path, **scripts: str) -> Path:
    """Make a PG_BIN whose programs are shell scripts."""
    programs = folder / "fake" / "install" / "bin"
    programs.mkdir(parents=True)
    usual = {"postgres": "echo 'postgres (PostgreSQL) 18.6'", "pg_ctl": "exit 1", "initdb": "exit 1"}
    for name, script in {**usual, **scripts}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    return programs


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("initdb: error: could not write file: No space left on device", "is full: free some space"),
        ("initdb: error: could not access directory: Permission denied", "set PATTERN_CONFIDENCE_HOME"),
        ("initdb: error: invalid locale settings", "invalid locale settings."),
        ("", "it gave no reason."),
    ],
)
def test_initdb_that_fails(newcomer: Person, said: str, expected: str) -> None:
    programs = fake_programs(newcomer.folder, initdb=f"echo '{said}' >&2; exit 1")
    assert expected in newcomer.complaint(env={"PG_BIN": str(programs)})
    assert sorted(path.name for path in (newcomer.home / "server").iterdir()) == ["lock", "socket"]


def test_server_that_does_not_start(newcomer: Person) -> None:
    script = "echo 'LOG:  starting' >&2; echo 'FATAL:  could not map memory' >&2; exit 1"
    programs = fake_programs(newcomer.folder, initdb="echo 18 > $2/PG_VERSION", pg_ctl=script)
    complaint = newcomer.complaint(env={"PG_BIN": str(programs)})
    assert "could not map memory" in complaint and str(newcomer.home / "server" / "log") in complaint


def test_programs_that_are_missing_or_broken(newcomer: Person) -> None:
    assert "PG_BIN is /nowhere" in newcomer.complaint(env={"PG_BIN": "/nowhere"})
    programs = fake_programs(newcomer.folder)
    (programs / "initdb").chmod(0o644)
    assert "cannot be run" in newcomer.complaint(env={"PG_BIN": str(programs)})


# ------------------------------------------------------------------------------------------------------ root


@as_root
def test_root_changes_no_folder_that_it_did_not_create(newcomer: Person) -> None:
    existing = newcomer.folder / "existing"
    existing.mkdir()
    existing.chmod(0o751)
    os.chown(existing, 0, 1)
    newcomer.home = existing
    before = modes(existing)
    newcomer.url()
    assert modes(existing) == before
    assert newcomer.data.stat().st_uid != 0

    closed = newcomer.folder / "closed"
    closed.mkdir(mode=0o700)
    before = modes(closed)
    complaint = newcomer.complaint(env={"PATTERN_CONFIDENCE_HOME": str(closed / "home")})
    assert f"cannot enter {closed / 'home'}" in complaint
    assert modes(closed) == before


@as_root
def test_default_home_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATTERN_CONFIDENCE_HOME", raising=False)
    assert home_folder() == Path("/var/lib/pattern-confidence")
    for stranger in make_person("unprivileged"):
        code = "from trainer.server import home_folder; print(home_folder())"
        with stranger.popen("-c", code, env={"PATTERN_CONFIDENCE_HOME": ""}) as process:
            out, _ = process.communicate(timeout=20)
        assert out == f"{stranger.folder}/.local/share/pattern-confidence\n"
        with stranger.popen(
            "-m", "trainer", "db", "start", env={"PATTERN_CONFIDENCE_HOME": "", "HOME": "/nonexistent"}
        ) as process:
            _, err = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "PATTERN_CONFIDENCE_HOME" in err and "Traceback" not in err


@as_root
def test_account_of_the_server(newcomer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    assert "does not exist" in newcomer.complaint(env={"PG_RUN_AS": "no-such-account"})
    assert "refuses to run as root" in newcomer.complaint(env={"PG_RUN_AS": "root"})
    url = newcomer.url(PG_RUN_AS="nobody")
    assert newcomer.data.stat().st_uid == nobody.pw_uid
    assert Path(f"/proc/{newcomer.server_pid()}").stat().st_uid == nobody.pw_uid
    newcomer.trainer("db", "stop")
    # The cluster keeps its account whatever the machine's default is now.
    assert newcomer.url() == url
    assert Path(f"/proc/{newcomer.server_pid()}").stat().st_uid == nobody.pw_uid
    newcomer.trainer("db", "stop")
    complaint = newcomer.complaint(env={"PG_RUN_AS": "daemon"})
    assert "PG_RUN_AS is daemon" in complaint and str(newcomer.data) in complaint


@as_root
@on_linux
def test_root_without_the_right_to_look_into_processes(newcomer: Person) -> None:
    """As in a container, where another server of the same account may run too."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv")
    python = newcomer.folder / "python"
    command = f'{setpriv} --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "{newcomer.python}" "$@"'
    python.write_text(f"#!/bin/sh\nexec {command}\n")
    python.chmod(0o755)
    newcomer.python = str(python)
    with ThrowawayServer() as other:
        url = newcomer.url()
        before = newcomer.server_pid()
        with newcomer.popen("-c", f"import os; os.readlink('/proc/{before}/cwd')") as process:
            assert "PermissionError" in process.communicate()[1], "this test takes the right away"
        assert newcomer.url() == url
        assert newcomer.server_pid() == before
        os.kill(before, signal.SIGKILL)
        began = time.monotonic()
        assert newcomer.url() == url
        assert time.monotonic() - began < 10
        assert newcomer.trainer("db", "stop").stdout == "stopped\n"
        with psycopg.connect(other.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once(newcomer: Person) -> None:
    original = find_binaries().folder.parent
    closed = newcomer.folder / "closed"
    closed.mkdir(mode=0o700)
    package = closed / "site-packages" / original.parent.name
    ignored = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(original, package / original.name, symlinks=True, ignore=ignored)
    libraries = original.parent.with_name(original.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, package.with_name(libraries.name))
    programs = package / original.name / "bin"
    before = modes(programs / "postgres")
    env = {"PG_BIN": str(programs)}

    def copies() -> list[tuple[str, int]]:
        folder = newcomer.home / "server" / "binaries"
        return sorted((path.name, path.stat().st_ino) for path in folder.iterdir())

    url = newcomer.url(**env)
    assert newcomer.query(url, "SELECT 1") == "1"
    first = copies()
    assert len(first) == 1
    assert newcomer.trainer("db", "stop", env=env).returncode == 0
    newcomer.url(**env)
    assert copies() == first
    assert modes(programs / "postgres") == before

    newcomer.trainer("db", "stop", env=env)
    os.utime(programs / "postgres", (1, 1))  # another build
    newcomer.url(**env)
    assert len(copies()) == 1
    assert copies() != first


def test_normal_user_gets_no_account() -> None:
    assert (server_account() is None) == (not ROOT)


# ------------------------------------------------------------------------------------------------ throw-away


def test_throwaway_server_leaves_nothing() -> None:
    with ThrowawayServer({"work_mem": "5MB"}) as server:
        folder = server.folder
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            shown = [connection.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", "work_mem", "timezone")]
        assert shown == ["off", "5MB", "UTC"]
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert not folder.exists()


def test_throwaway_server_that_does_not_start() -> None:
    server = ThrowawayServer({"work_mem": "nonsense"})
    with pytest.raises(UserError, match="work_mem"):
        server.__enter__()
    assert not server.folder.exists()


@on_linux
def test_throwaway_server_dies_with_its_parent(newcomer: Person) -> None:
    code = (
        "import time; from trainer.server import ThrowawayServer\n"
        "with ThrowawayServer() as server: print(server.folder, flush=True); time.sleep(60)"
    )
    with newcomer.popen("-c", code) as parent:
        folder = Path(parent.stdout.readline().strip())
        pid = int((folder / "data" / "postmaster.pid").read_text().partition("\n")[0])
        assert alive(pid)
        parent.kill()
        parent.communicate()
    wait_for(lambda: not alive(pid))
    wait_for(lambda: list((folder / "data").iterdir()) == [])
    # What is left of it goes when the next one starts, unless it is so young that it may be starting.
    with ThrowawayServer():
        assert folder.exists()
    os.utime(folder, (1, 1))
    with ThrowawayServer():
        assert not folder.exists()


def test_library_start_and_status(newcomer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(newcomer.home))
    server = EmbeddedServer()
    assert server.status().running is False
    assert not newcomer.home.exists(), "looking creates nothing"
    assert server.stop() is False
    url = server.start()
    status = server.status()
    assert (status.running, status.url, status.pid) == (True, url, newcomer.server_pid())
    assert status.version is not None and status.version.startswith(str(find_binaries().major_version()))
    assert server.stop() is True
    assert server.stop() is False
