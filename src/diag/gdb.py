# SPDX-License-Identifier: BSD-3-Clause
# gdb.py: goroutines in gdb, in a live process and in a core file.
#
#	(gdb) source PREFIX/share/rt0/gdb.py
#	(gdb) info goroutines            id, state and place of each; * is the one of this thread
#	(gdb) goroutine 7 bt             any command, in the place of goroutine 7
#	(gdb) goroutine all bt
#	(gdb) print *c                   channels, mutexes, wait groups and goroutines in words
#
# A goroutine that is not on a thread has its registers in its frame (struct switchframe), or,
# in a system call or stopped by a signal, in fields of g. No register of the process is written: an
# unwinder claims the thread's innermost frame and says that the goroutine's is its caller. So
# frame 0 is the thread's own, a filter hides it, and the command runs in frame 1.
#
# All is read from memory by the debug information of librt0, so it needs one that was built
# with -g. Nothing is called in the process.
import re

import gdb
import gdb.printing
import gdb.unwinder

GSCAN = 0x1000
STATES = {0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 6: "dead",
          8: "copystack", 9: "preempted"}
GIDLE, GRUNNING, GSYSCALL, GWAITING, GDEAD = 0, 2, 3, 4, 6
COLOURS, COLOURSTEP, PAGE = 16, 128, 4096  # stack.c: where g lies in its slot
# struct switchframe, from sched.sp upwards.
FRAME = {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}
FRAME_SIZE = 64


class Error(gdb.GdbError):
    pass


def value(text):
    try:
        return gdb.parse_and_eval(text)
    except gdb.error as e:
        raise Error("rt0: %s (is it an rt0 program, built with -g?)" % e)


def word(addr):
    data = gdb.selected_inferior().read_memory(addr, 8).tobytes()
    return int.from_bytes(data, "little")


def goroutines():
    """Pointers to all gs that are not dead, as runtime_foreachg finds them."""
    found = []
    gtype = gdb.lookup_type("struct g")
    gp = value("stackLarge.all")
    seen = set()
    while int(gp) != 0 and int(gp) not in seen:
        seen.add(int(gp))
        found.append(gp)
        gp = gp["alllink"]
    pool = value("stackpool")
    stride = int(value("slotsize")) + PAGE
    for i in range(int(pool["narena"])):
        arena = pool["arena"][i]
        for k in range(int(arena["used"])):
            top = int(arena["base"]) + (k + 1) * stride
            addr = (top - k % COLOURS * COLOURSTEP - gtype.sizeof) & ~63
            found.append(gdb.Value(addr).cast(gtype.pointer()))
    result = []
    for gp in found:
        try:
            if int(gp["atomicstatus"]) & ~GSCAN not in (GIDLE, GDEAD):
                result.append(gp)
        except gdb.MemoryError:
            pass
    return sorted(result, key=lambda gp: int(gp["goid"]))


def goroutine(goid):
    for gp in goroutines():
        if int(gp["goid"]) == goid:
            return gp
    raise Error("no goroutine %d" % goid)


def waitreason(gp):
    try:
        return gdb.parse_and_eval("runtime_waitreasontext::text")[int(gp["waitreason"])].string()
    except gdb.error:
        return "waiting"


def state(gp):
    status = int(gp["atomicstatus"])
    text = STATES.get(status & ~GSCAN, "???")
    if status & ~GSCAN == GWAITING and int(gp["waitreason"]) != 0:
        text = waitreason(gp)
    if status & GSCAN:
        text += " (scan)"
    mp = gp["lockedm"]
    if int(mp) != 0 and (int(mp["lockedext"]) or int(mp["lockedint"])):
        text += ", locked to thread"
    return text


def threadof(gp):
    """The thread that gp is on, or None. One that a signal has stopped stays on its own."""
    mp = gp["lockedm"] if isstopped(gp) else gp["m"]
    if int(mp) == 0:
        return None
    lwp = int(mp["procid"])
    for t in gdb.selected_inferior().threads():
        if t.ptid[1] == lwp or (t.ptid[1] == 0 and t.ptid[0] == lwp):
            return t
    return None


def isstopped(gp):
    try:
        return int(gp["asyncstop"]) != 0
    except gdb.error:
        return False


def registers(gp):
    """The registers of a goroutine that is not running, by name."""
    if isstopped(gp) or (int(gp["atomicstatus"]) & ~GSCAN == GSYSCALL and int(gp["syscallpc"])):
        return {"rip": int(gp["syscallpc"]), "rsp": int(gp["syscallsp"]),
                "rbp": int(gp["syscallbp"])}
    sp = int(gp["sched"]["sp"])
    regs = {name: word(sp + off) for name, off in FRAME.items()}
    regs["rsp"] = sp + FRAME_SIZE
    return regs


class Unwinder(gdb.unwinder.Unwinder):
    """Makes a goroutine the caller of the selected thread's innermost frame."""

    class FrameId:
        def __init__(self, sp, pc):
            self.sp = sp
            self.pc = pc

    def __init__(self):
        super().__init__("rt0-goroutine")
        self.regs = None  # of the goroutine; None: not in use

    def __call__(self, pending):
        if self.regs is None or pending.level() != 0:
            return None
        # gdb takes a caller that lies below its callee for a damaged stack: so this one is below.
        rsp, pc = pending.read_register("rsp"), pending.read_register("rip")
        sp = gdb.Value(self.regs["rsp"] - 16).cast(rsp.type)
        info = pending.create_unwind_info(self.FrameId(sp, pc))
        # A register of a goroutine has the type of the thread's.
        for name, v in self.regs.items():
            info.add_saved_register(name, gdb.Value(v).cast(pending.read_register(name).type))
        return info


class Filter:
    """Hides frame 0 while the unwinder is in use."""

    def __init__(self):
        self.name = "rt0-goroutine"
        self.priority = 100
        self.enabled = True

    def filter(self, frames):
        if unwinder.regs is not None:
            next(frames, None)
        return frames


def belowsignal():
    """Selects the frame that the latest signal of this thread has interrupted."""
    frame, found = gdb.newest_frame(), None
    while frame is not None and frame.is_valid():
        if frame.type() == gdb.SIGTRAMP_FRAME and frame.older() is not None:
            found = frame.older()
            break
        frame = frame.older()
    if found is not None:
        found.select()


class Place:
    """with Place(gp): the selected frame is gp's."""

    def __init__(self, gp):
        self.gp = gp

    def __enter__(self):
        self.thread = gdb.selected_thread()
        if self.thread is None:
            raise Error("the program is not running, and there is no core file")
        try:
            self.frame = gdb.selected_frame()
        except gdb.error:
            self.frame = None
        gp = self.gp
        t = threadof(gp)
        status = int(gp["atomicstatus"]) & ~GSCAN
        if t is not None and (isstopped(gp) or status in (GRUNNING, GSYSCALL)):
            if t.num != self.thread.num:
                t.switch()
            gdb.newest_frame().select()
            if isstopped(gp):
                belowsignal()
            return
        unwinder.regs = registers(gp)
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame().older()
        if frame is None:
            self.__exit__()
            raise Error("rt0: goroutine %d has no frame" % int(gp["goid"]))
        frame.select()

    def __exit__(self, *_):
        if unwinder.regs is not None:
            unwinder.regs = None
            gdb.invalidate_cached_frames()
        if gdb.selected_thread() is None or gdb.selected_thread().num != self.thread.num:
            self.thread.switch()
        if self.frame is not None and self.frame.is_valid():
            self.frame.select()


HIDDEN = re.compile(r"^(runtime_|rt0_(?!init_|reg_)|_start$|__libc_start|start_thread$|clone3?$)")


def sources():
    """The folder of the runtime's sources, as its debug information spells it."""
    sal = gdb.decode_line("runtime_goroutineheader")[1]
    name = sal[0].symtab.fullname() if sal and sal[0].symtab is not None else ""
    tail = "diag/traceback.c"
    return name[:-len(tail)] if name.endswith("/" + tail) else "\0"


def where(gp):
    """Function and line of the first frame that is the program's, or else of the first."""
    first, prefix = "", sources()
    with Place(gp):
        f = gdb.selected_frame()
        for _ in range(50):
            if f is None or not f.is_valid():
                break
            name, sal = f.name(), f.find_sal()
            at = name or "0x%x" % f.pc()
            if sal.symtab is not None:
                at += " at %s:%d" % (sal.symtab.filename, sal.line)
            first = first or at
            if name and not HIDDEN.match(name) and not (
                    sal.symtab is not None and sal.symtab.fullname().startswith(prefix)):
                return at
            f = f.older()
    return first


def header(gp):
    return "goroutine %d [%s]:" % (int(gp["goid"]), state(gp))


def current():
    t = gdb.selected_thread()
    for gp in goroutines() if t is not None else []:
        if int(gp["atomicstatus"]) & ~GSCAN in (GRUNNING, GSYSCALL):
            mine = threadof(gp)
            if mine is not None and mine.num == t.num:
                return int(gp["goid"])
    return None


class InfoGoroutines(gdb.Command):
    """List the goroutines: number, state, function and line. * marks this thread's."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        me = current()
        for gp in goroutines():
            goid = int(gp["goid"])
            print("%s %-4d %-20s %s" % ("*" if goid == me else " ", goid, state(gp), where(gp)))


class Goroutine(gdb.Command):
    """goroutine N [COMMAND]: run a gdb command in the place of a goroutine (bt if none is given).
goroutine all COMMAND: in the place of each."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        which, _, command = arg.strip().partition(" ")
        command = command.strip() or "bt"
        if which == "all":
            gps = goroutines()
        elif which.isdigit():
            gps = [goroutine(int(which))]
        else:
            raise Error("usage: goroutine N|all [COMMAND]")
        for i, gp in enumerate(gps):
            if i > 0:
                print()
            if which == "all":
                print(header(gp))
            try:
                with Place(gp):
                    gdb.execute(command, from_tty)
            except (gdb.error, Error) as e:
                if which != "all":
                    raise
                print("%s" % e)


# ---- Pretty printers ----

class ChanPrinter:
    def __init__(self, v):
        self.v = v

    def waiters(self, queue):
        ids, sg = [], queue["first"]
        while int(sg) != 0 and len(ids) < 100:
            ids.append("%d" % int(sg["g"]["goid"]))
            sg = sg["next"]
        return ids

    def to_string(self):
        v = self.v
        text = "chan %d/%d of %d bytes" % (v["qcount"], v["dataqsiz"], v["elemsize"])
        if int(v["closed"]):
            text += ", closed"
        for name, queue in (("receive", "recvq"), ("send", "sendq")):
            ids = self.waiters(v[queue])
            if ids:
                text += ", waiting to %s: %s" % (name, " ".join(ids))
        return text

    def children(self):
        v = self.v
        size = int(v["elemsize"])
        kind = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int",
                8: "unsigned long"}.get(size)
        t = gdb.lookup_type(kind or "unsigned char")
        if kind is None and size > 0:
            t = t.array(size - 1)
        for i in range(min(int(v["qcount"]), 200) if size > 0 else 0):
            k = (int(v["recvx"]) + i) % int(v["dataqsiz"])
            yield "[%d]" % i, (int(v["buf"]) + k * size and
                               (v["buf"] + k * size).cast(t.pointer()).dereference())

    def display_hint(self):
        return "array"


class MutexPrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        s = int(self.v["state"])
        text = "mutex " + ("locked" if s & 1 else "unlocked")
        if s >> 3:
            text += ", %d waiting" % (s >> 3)
        return text + (", starving" if s & 4 else "")


class WaitgroupPrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        s = int(self.v["state"])
        return "waitgroup %d, %d waiting" % (s >> 32, s & 0xffffffff)


class GPrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        v = self.v
        f = gdb.decode_line("*0x%x" % int(v["startpc"]))[1] if int(v["startpc"]) else None
        fn = ""
        if f:
            block = gdb.block_for_pc(int(v["startpc"]))
            fn = block.function.name if block is not None and block.function else ""
        return "goroutine %d [%s] %s" % (int(v["goid"]), state(v), fn)

    def children(self):
        for f in self.v.type.fields():
            yield f.name, self.v[f.name]


def printers():
    p = gdb.printing.RegexpCollectionPrettyPrinter("rt0")
    p.add_printer("chan", "^rt0_chan$", ChanPrinter)
    p.add_printer("mutex", "^rt0_mutex$", MutexPrinter)
    p.add_printer("waitgroup", "^rt0_waitgroup$", WaitgroupPrinter)
    p.add_printer("g", "^g$", GPrinter)
    return p


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)
gdb.frame_filters["rt0-goroutine"] = Filter()
gdb.printing.register_pretty_printer(None, printers(), replace=True)
InfoGoroutines()
Goroutine()
