"""An agent's program that is not what it should be: it tries each way to what is not its own, and says
how many it has tried and which of them led anywhere. It is told what to look for backwards, so that
nothing on the way takes it out."""
import ctypes, fcntl, glob, http.client, json, os, signal, socket, subprocess, sys

told = json.loads(sys.stdin.read())
SECRETS = [secret[::-1].encode() for secret in told["secrets"]]
FOLDER, DATA, STORE, OTHER = told["folder"], told["data"], told["store"], told["other"]
HOST, ADDRESS = told["host"], told["address"]
tried, got = [], []


def way(function):
    tried.append(function.__name__)
    try:
        found = function()
    except Exception:
        found = None
    if found:
        got.append("%s: %s" % (function.__name__, found))


def read(path):
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(1 << 20) or b""
    except OSError:
        return b""


def holds(path):
    content = read(path)
    return path if any(secret in content for secret in SECRETS) else None


def first(found):
    return next((one for one in found if one), None)


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def written(path):
    with open(path, "ab", buffering=0):
        return path


@way
def environ_of_the_parent(): return holds("/proc/%d/environ" % os.getppid())

@way
def environ_of_the_host(): return holds("/proc/%d/environ" % HOST)

@way
def environ_of_all(): return first(holds("/proc/%d/environ" % pid) for pid in pids())

@way
def command_lines(): return first(holds("/proc/%d/cmdline" % pid) for pid in pids())

@way
def memory():
    for pid in [HOST, os.getppid()] + pids():
        try:
            maps, memory = open("/proc/%d/maps" % pid).read(), open("/proc/%d/mem" % pid, "rb", 0)
        except OSError:
            continue
        for line in maps.splitlines():
            begin, end = (int(at, 16) for at in line.split()[0].split("-"))
            try:
                memory.seek(begin)
                if any(secret in memory.read(min(end - begin, 1 << 24)) for secret in SECRETS):
                    return line
            except (OSError, OverflowError, ValueError):
                pass

@way
def ptrace():
    libc = ctypes.CDLL(None, use_errno=True)
    return "attached" if libc.ptrace(16, HOST, 0, 0) == 0 else None

@way
def process_vm_readv():
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    begin = int(open("/proc/%d/maps" % HOST).readline().split("-")[0], 16)
    here = ctypes.create_string_buffer(64)
    mine, theirs = Piece(ctypes.addressof(here), 64), Piece(begin, 64)
    libc = ctypes.CDLL(None, use_errno=True)
    taken = libc.process_vm_readv(HOST, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return taken if taken > 0 else None

@way
def open_files_of_others():
    return first(holds(path) for pid in pids() for path in glob.glob("/proc/%d/fd/*" % pid)
                 if os.path.isfile(path))

@way
def roots_of_others():
    inside = [DATA + "/admin.key", STORE, FOLDER + "/hillock.toml"]
    return first(holds("/proc/%d/root%s" % (pid, path)) for pid in pids() for path in inside)

@way
def folders_of_others():
    inside = ["data/admin.key", "hillock.toml", "inbox.secret", "h.db"]
    return first(holds("/proc/%d/cwd/%s" % (pid, path)) for pid in pids() for path in inside)

@way
def admin_key(): return holds(DATA + "/admin.key")

@way
def admin_key_by_a_link():
    os.symlink(DATA + "/admin.key", "link")
    return holds("link")

@way
def admin_key_by_a_hard_link():
    os.link(DATA + "/admin.key", "hard")
    return holds("hard")

@way
def data_folder():
    # Its own context may be there, and nothing else.
    return [name for name in os.listdir(DATA) if name not in ("work", "context")]

@way
def contexts_of_others():
    own = os.path.realpath(os.environ["HILLOCK_CONTEXT_DIR"])
    folders = glob.glob(DATA + "/context/*") + glob.glob("/tmp/hillock-run-*")
    return first(os.path.realpath(folder) != own and os.listdir(folder) and folder for folder in folders)

@way
def store(): return first(holds(STORE + end) for end in ["", "-wal", "-shm", ".lock"]) or (
    read(STORE)[:15].decode() or None)

@way
def worker_files():
    names = glob.glob(DATA + "/worker*") + glob.glob(DATA + "/replica*")
    return first(name if read(name) else None for name in names)

@way
def configuration(): return holds(FOLDER + "/hillock.toml")

@way
def automations(): return first(holds(path) for path in glob.glob(FOLDER + "/automations.d/*"))

@way
def secrets_file(): return holds(FOLDER + "/inbox.secret")

@way
def default_data_folder(): return holds(FOLDER + "/.local/share/hillock/admin.key")

@way
def another_programs_folder(): return holds(OTHER + "/mine") or os.listdir(OTHER)

@way
def api_without_a_key():
    for path in ["runs", "tasks", "keys", "workers", "audit", "config"]:
        connection = http.client.HTTPConnection(ADDRESS, timeout=10)
        connection.request("GET", "/api/v1/" + path)
        if connection.getresponse().status not in (401, 404, 405):
            return path

@way
def api_by_the_command_line():
    done = subprocess.run([told["program"], "run", "list", "--url", "http://" + ADDRESS],
                          env={"HILLOCK_DATA_DIR": DATA, "HOME": FOLDER}, capture_output=True)
    return done.stdout or None

def signaled(pid, number):
    try:
        os.kill(pid, number)
        return "signal %d" % number
    except OSError:
        return None

@way
def stopping_the_host(): return signaled(HOST, signal.SIGSTOP)

@way
def killing_the_host(): return signaled(HOST, signal.SIGKILL)

@way
def telling_the_host_to_read_again(): return signaled(HOST, signal.SIGHUP)

@way
def credentials_of_the_service():
    return holds(told["credentials"] + "/key") or os.environ.get("CREDENTIALS_DIRECTORY")

@way
def its_own_environment():
    named = [name for name in os.environ if any(
        word in name for word in ("API_KEY", "SECRET", "JOIN", "STORE", "OTHER", "DATA_DIR", "FD"))]
    return named or [name for name, value in os.environ.items() if value.encode() in SECRETS]

@way
def inherited_files():
    return [os.readlink("/proc/self/fd/" + number) for number in told["inherited"]
            if os.path.exists("/proc/self/fd/" + number)]

@way
def control_groups():
    own = open("/proc/self/cgroup").read().strip().split(":")[-1]
    at = ["/sys/fs/cgroup" + own, "/sys/fs/cgroup"]
    return first(os.access(path, os.W_OK) and path for folder in at
                 for path in [folder + "/cgroup.procs", folder + "/cgroup.kill", folder + "/cgroup.freeze"])

@way
def sysrq(): return written("/proc/sysrq-trigger")

@way
def core_pattern(): return written("/proc/sys/kernel/core_pattern")

@way
def terminal(): return os.open("/dev/tty", os.O_RDWR)

@way
def typing(): return fcntl.ioctl(0, 0x5412, b"x") == 0

@way
def disks():
    return first(os.access("/dev/" + name, os.R_OK) and name for name in os.listdir("/dev")
                 if name.startswith(("vd", "sd", "nvme", "xvd", "dm-", "mem", "kmem", "port")))

@way
def making_a_device():
    os.mknod("disk", 0o600 | 0o060000, os.makedev(254, 0))
    return read("disk") or None

@way
def services_of_the_machine():
    own = ["/run/user/%d/bus" % os.getuid(), "/run/user/%d/systemd/private" % os.getuid()]
    # Everybody may talk to these; they do for root what they are told.
    roots = ["/run/systemd/private", "/run/dbus/system_bus_socket"]
    for path in own + (roots if os.getuid() == 0 else []):
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            return path
        except OSError:
            pass

@way
def sockets_without_a_file():
    for line in open("/proc/net/unix").read().splitlines()[1:]:
        name = line.split()[-1]
        if name.startswith("@") and "hillock" in name:
            return name

@way
def uncovering():
    what = "umount -l %s; cat %s/admin.key" % (DATA, DATA)
    for how in (["sh", "-c", what], ["unshare", "-Urm", "sh", "-c", what], ["unshare", "-m", "sh", "-c", what]):
        done = subprocess.run(how, capture_output=True)
        if any(secret in done.stdout for secret in SECRETS):
            return how[0]

@way
def moving_away():
    os.rename(DATA, DATA + ".away")
    return "moved"

@way
def planting():
    return first(written(path) for path in
                 [DATA + "/admin.key", DATA + "/cache/planted", FOLDER + "/hillock.toml"])

@way
def planting_an_automation(): return written(FOLDER + "/automations.d/planted.toml")

@way
def leaving():
    # Not a deed of its own: it must be gone when this has ended.
    subprocess.Popen(["setsid", "sleep", "600"], stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

print("tried", len(tried))
for what in got:
    print("got", what)
