"""Runs one worker's Python program as ``__main__``, exactly as ``python program`` would.

The launcher starts ``python bootstrap.py script|module|executable TARGET ARGS...``. Before the program runs,
three things are arranged that it need not know of: the worker dies with its launcher, an uncaught
exception is recorded in DTORCH_ERROR_FILE, and a crash or a hang leaves its Python stacks where
the launcher reads them. The program then gets the ``sys.argv``, ``sys.path`` and ``__main__`` of
an ordinary start, and the frames of this file never show in its tracebacks. An executable takes
this process over, and only the first of the three applies.

This file is executed by its path, so it imports nothing of dtorch, and little of the standard
library: every worker pays for it at every start.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import os
import sys
import time
from types import ModuleType, TracebackType

TYPE_CHECKING = False  # as in typing, which takes 3 ms to import
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from typing import Any, NoReturn

# How the launcher asks a worker whose program has ended for its stacks. A real-time signal, because
# no program expects a meaning in it. Linux only: elsewhere a hang is reported without stacks.
STACKS_SIGNAL = 64 if sys.platform == "linux" else None

KEYBOARD_INTERRUPT_CODE = 130

CANNOT_EXECUTE_CODE = 126  # as shells have it

SIGKILL = 9  # the signal module takes 2 ms to import


def main() -> None:
    kind, target, *args = sys.argv[1:]
    stacks = _inherited("DTORCH_STACKS_FD")
    control = _inherited("DTORCH_CONTROL_FD", keep=True)
    lifeline = _inherited("DTORCH_LIFELINE_FD")
    if lifeline is not None:
        _die_with_launcher(lifeline)
    if stacks is not None:
        faulthandler.enable(stacks)
    if sys.stdout is not None:
        # What a terminal would get: through the launcher's pipe lines must not wait for 8 KiB.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # TextIOWrapper
    if kind == "executable":
        _become(target, args, [fd for fd in (control, lifeline) if fd is not None])
    sys.unraisablehook = _interrupt_again
    worker = os.getpid()
    code = 0
    try:
        _run(kind, target, args)
    except BaseException as error:
        # A process that the program forked ends here too; it has nothing to tell the launcher.
        code = _leave(error) if os.getpid() == worker else 1
        raise
    finally:
        if os.getpid() == worker:
            _announce_end(control, stacks, code)


def _interrupt_again(unraisable: UnraisableHookArgs) -> None:
    """Repeats a Ctrl-C that came where Python has to drop exceptions: there is one in each import."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415  # only for this

    # From another thread, as a signal raised here would be taken here, and dropped too.
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()


def _die_with_launcher(lifeline: int) -> None:
    """Has this process and its whole group killed when the other end of ``lifeline`` closes.

    The kernel does it (a SIGKILL in place of SIGIO, to the process group): no thread is needed,
    which would make each later fork a fork of a threaded process, nothing the program does can
    delay it, and it survives exec. Systems without F_SETSIG get a waiting thread.
    """
    os.set_blocking(lifeline, False)
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if _is_closed(lifeline):
            os.killpg(0, SIGKILL)  # the launcher was gone before the kernel could be told
    else:
        import threading  # noqa: PLC0415  # only where the kernel cannot do it

        threading.Thread(target=_wait_and_die, args=(lifeline,), daemon=True).start()


def _become(executable: str, args: list[str], descriptors: list[int]) -> NoReturn:
    """Replaces this process by a program that is not Python."""
    import signal  # noqa: PLC0415  # 2 ms that Python programs need not pay

    for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python alone
        signal.signal(signum, signal.SIG_DFL)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    try:
        os.execv(executable, [executable, *args])
    except OSError as error:
        stop = SystemExit(f"cannot execute {executable}: {error.strerror}")
        if _record(stop, CANNOT_EXECUTE_CODE):
            stop.code = CANNOT_EXECUTE_CODE
        raise stop from None


def _is_closed(lifeline: int) -> bool:
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:
        return False


def _wait_and_die(lifeline: int) -> None:
    os.set_blocking(lifeline, True)
    os.read(lifeline, 1)  # nothing is ever written: it returns when the launcher is gone
    os.killpg(0, SIGKILL)


def _inherited(name: str, keep: bool = False) -> int | None:
    """The descriptor that the variable ``name`` tells, kept from the program's own children."""
    text = os.environ.get(name) if keep else os.environ.pop(name, None)
    if text is None:
        return None
    os.set_inheritable(int(text), False)
    return int(text)


def _run(kind: str, target: str, args: list[str]) -> None:
    module = ModuleType("__main__")
    if "__annotations__" in globals():  # Python before 3.14 gives one to every __main__
        module.__annotations__ = {}
    # Not this module's namespace: the program may look at, clear or pickle its own.
    sys.modules["__main__"] = module
    sys.argv[:] = [target, *args]
    if kind == "module":
        _set_first_path(os.getcwd())
        _run_module(module, target)
    elif os.path.isdir(target) or target.endswith((".zip", ".pyz")):
        directory = os.path.abspath(target)
        sys.path[:1] = [directory] if not sys.flags.safe_path else [directory, sys.path[0]]
        _run_module(module, "__main__", directory)
    else:
        _set_first_path(os.path.dirname(os.path.realpath(target)))
        _run_script(module, os.path.abspath(target))


def _set_first_path(directory: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = directory


def _run_module(module: ModuleType, name: str, directory: str | None = None) -> None:
    """Does what ``python -m`` does; no public function of `runpy` leaves the namespace alive."""
    import importlib.machinery  # noqa: PLC0415  # loaded already; the names are what is needed
    import importlib.util  # noqa: PLC0415  # 3 ms that scripts need not pay

    if directory is not None:
        spec = importlib.machinery.PathFinder.find_spec(name, [directory])
    elif (spec := importlib.util.find_spec(name)) and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    loader: Any = spec and spec.loader
    code = loader and loader.get_code(name)
    if spec is None or code is None:
        raise SystemExit(f"{sys.executable}: No module named {name}")
    if directory is None:
        sys.argv[0] = str(spec.origin)
    module.__dict__.update(
        __file__=spec.origin, __cached__=spec.cached, __loader__=loader, __package__=spec.parent,
        __spec__=spec, __builtins__=sys.modules["builtins"],
    )  # fmt: skip
    exec(code, module.__dict__)


def _run_script(module: ModuleType, path: str) -> None:
    import importlib.machinery  # noqa: PLC0415  # loaded already; the name is what is needed

    loader = importlib.machinery.SourceFileLoader("__main__", path)
    module.__dict__.update(
        __file__=path, __loader__=loader, __cached__=None, __builtins__=sys.modules["builtins"]
    )
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)


def _leave(error: BaseException) -> int:
    """Hands what ended the program to the launcher; returns the exit code that will follow."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        if _record(error, 1):
            error.code = 1  # the launcher shows the message
        return 1
    if isinstance(error, KeyboardInterrupt):
        if _record(error, KEYBOARD_INTERRUPT_CODE):
            sys.excepthook = _silent
        return KEYBOARD_INTERRUPT_CODE
    _show_through_launcher(error)
    return 1


def _announce_end(control: int | None, stacks: int | None, code: int) -> None:
    """Tells the launcher that the program has ended and only the interpreter's exit is left."""
    if stacks is not None and STACKS_SIGNAL is not None:
        faulthandler.register(STACKS_SIGNAL, stacks, all_threads=True)
    if control is not None:
        with contextlib.suppress(OSError):  # the launcher has gone, or the program closed it
            os.write(control, b"ended %d %.6f\n" % (code, time.time()))


def _silent(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook for what the launcher has been told and will show in its own way."""


def _show_through_launcher(error: BaseException) -> None:
    """Records ``error`` for the launcher, which prints it once, after everything else."""
    trace = _program_traceback(error)
    hook = sys.excepthook
    recorded = _record(error, 1)
    # A hook of the program's own (a reporter, a formatter) still runs, with its own frames only.
    if recorded and hook is sys.__excepthook__:
        sys.excepthook = _silent
    else:
        sys.excepthook = lambda kind, value, _: hook(kind, value.with_traceback(trace), trace)


def _program_traceback(error: BaseException) -> TracebackType | None:
    """The traceback of ``error`` from the program's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _record(error: BaseException, code: int) -> bool:
    """Writes ``error`` to DTORCH_ERROR_FILE; False when that cannot be done."""
    path = os.environ.get("DTORCH_ERROR_FILE")
    if path is None:
        return False
    import json  # noqa: PLC0415  # 5 ms with traceback, which only a failure needs
    import traceback  # noqa: PLC0415

    trace = _program_traceback(error)
    summary = "".join(traceback.format_exception_only(type(error), error)).strip()
    is_message = isinstance(error, SystemExit)
    record = {
        "rank": int(os.environ["RANK"]),
        "pid": os.getpid(),
        "time": time.time(),
        "code": code,
        "blames": _blamed(error),
        "message": str(error.code) if isinstance(error, SystemExit) else summary,
        "where": _where(traceback.extract_tb(trace)),
        "traceback": ""
        if is_message
        else "".join(traceback.format_exception(type(error), error, trace)),
    }
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path + ".part", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(record, file)
        os.replace(path + ".part", path)
    except OSError:
        return False
    return True


def _blamed(error: BaseException) -> int | None:
    """The process that ``error``, or what it came from, says is to blame: its attribute ``pid``."""
    cause: BaseException | None = error
    seen = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        pid = getattr(cause, "pid", None)
        if isinstance(pid, int):
            return pid
        cause = cause.__cause__ or cause.__context__
    return None


def _where(frames: list) -> str:  # type: ignore[type-arg]  # traceback is imported on failure only
    """The innermost place that is the user's own code, not an installed library's."""
    libraries = (os.path.dirname(os.__file__), sys.prefix, sys.base_prefix, "<frozen")
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    if not frames:
        return ""
    place = own[-1] if own else frames[-1]
    return f"{place.filename}:{place.lineno} in {place.name}"


if __name__ == "__main__":
    main()
