"""A program run by `graddebug run` cannot tell that from being run by `python`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from graddebug.errors import UsageError
from graddebug.program import Outcome, Program, exit_code, find_main_spec
from tests.running import environment, graddebug, python, script

NOTICED = """\
import atexit, os, pickle, sys
class Kept: pass
atexit.register(print, "left")
names = ("__name__", "__file__", "__package__", "__doc__", "__cached__", "__annotations__")
print(sys.argv, os.path.realpath(sys.path[0]), [repr(globals()[name]) for name in names])
print(getattr(__spec__, "name", None), getattr(__spec__, "origin", None))
print(sorted(globals()), type(__loader__).__name__, __builtins__.__name__)
print(sys.modules["__main__"].__dict__ is globals(), type(pickle.loads(pickle.dumps(Kept()))) is Kept)
print(eval("__import__('inspect').getsource(Kept)"))
"""

ENDINGS = {
    "raises": "def f():\n    raise ValueError('no')\nf()\n",
    "raises from": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e\n",
    "group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])\n",
    "syntax": "x = = 1\n",
    "not python": "\\section{Hello}\n",
    "missing import": "import no_such_module_of_mine\n",
    "exit 3": "import sys\nsys.exit(3)\n",
    "exit none": "import sys\nsys.exit()\n",
    "exit text": "import sys\nsys.exit('that went wrong')\n",
    "exit unprintable": "class U:\n    def __str__(self): raise ValueError\nraise SystemExit(U())\n",
    "exit text nowhere": "import sys\nsys.stderr = None\nprint('x')\nsys.exit(3)\n",
    "streams of its own": "import sys\nclass Tee:\n    def write(self, text): sys.__stdout__.write(text)\n    def flush(self): pass\n"
    "sys.stdout = sys.stderr = Tee()\n1 / 0\n",
    "exit true": "raise SystemExit(True)\n",
    "exit in function": "def f():\n    raise SystemExit(7)\nf()\n",
    "own hook": "import sys\nsys.excepthook = lambda *a: print(a[0].__name__, a[2].tb_lineno)\n1 / 0\n",
    "broken hook": "import sys\ndef hook(*a):\n    raise OSError('hook')\nsys.excepthook = hook\n1 / 0\n",
    "interrupt": "raise KeyboardInterrupt\n",
    "exit handler fails": "import atexit\natexit.register(int, 'x')\n",
    "thread outlives": "import threading, time\nthreading.Thread(target=lambda: print('thread')).start()\n",
    "future": "def f(x: not_defined): ...\n",
    "latin": "# -*- coding: latin-1 -*-\nprint('gr\xfcn')\n",
    "tty": "import sys\nprint(sys.stdin.read(), sys.flags.optimize, __debug__)\n",
}


def assert_same(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Both ways of running print the same and end the same; the answer is ours."""
    plain = python(*words, cwd=folder)
    ours = graddebug("run", "--quiet", *words, cwd=folder)
    assert ours.stdout == plain.stdout
    assert ours.stderr == plain.stderr
    assert ours.returncode == plain.returncode
    return ours


def test_a_script_sees_what_it_always_sees(tmp_path: Path) -> None:
    """argv, path, attributes of __main__, pickling and exit handlers are those of `python FILE`."""
    script(tmp_path, NOTICED, name="here/train.py")
    ran = assert_same(tmp_path, "here/train.py", "--epochs", "3", "-o", "x", "--help")
    assert "'--epochs', '3', '-o', 'x', '--help'" in ran.stdout


def test_a_module_sees_what_it_always_sees(tmp_path: Path) -> None:
    """The same for `python -m`, where __spec__ and __package__ are set."""
    script(tmp_path, "print('parent', __name__)", name="pkg/__init__.py")
    script(tmp_path, NOTICED, name="pkg/mod.py")
    ran = assert_same(tmp_path, "-m", "pkg.mod", "-m", "x")
    assert f"pkg.mod {tmp_path}/pkg/mod.py" in ran.stdout


def test_a_package_runs_its_main(tmp_path: Path) -> None:
    """`-m pkg` runs pkg/__main__.py."""
    script(tmp_path, "", name="pkg/__init__.py")
    script(tmp_path, NOTICED, name="pkg/__main__.py")
    assert_same(tmp_path, "-m", "pkg")


def test_a_folder_runs_its_main(tmp_path: Path) -> None:
    """A folder with a __main__.py is a program, and first on the path."""
    script(tmp_path, "import beside\n" + NOTICED, name="app/__main__.py")
    script(tmp_path, "print('beside')", name="app/beside.py")
    assert_same(tmp_path, "app")


def test_a_zip_file_runs_its_main(tmp_path: Path) -> None:
    """So is a zip file with one."""
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import sys\nprint(__file__, sys.argv, __spec__.name)\n")
    assert_same(tmp_path, "app.zip", "a")


@pytest.mark.parametrize("path", ["./d/a.py", "link/../d/a.py", "./app", "app/"])
def test_a_path_stays_as_it_was_written(tmp_path: Path, path: str) -> None:
    """Dots, links before them and a slash at the end are in __file__ and sys.path as Python leaves them."""
    noticed = "import sys\nprint(__file__, sys.argv, sys.path[0])\n"
    script(tmp_path, noticed, name="app/__main__.py")
    script(tmp_path, noticed, name="elsewhere/d/a.py")
    script(tmp_path, noticed, name="d/a.py")
    (tmp_path / "elsewhere/deep").mkdir()
    os.symlink("elsewhere/deep", tmp_path / "link")
    assert_same(tmp_path, path)


def test_names_of_the_standard_library_are_free(tmp_path: Path) -> None:
    """A module beside the script is found though it is called like one that graddebug's commands use."""
    names = ("calendar", "csv", "email", "platform", "queue", "random", "socket", "tempfile")
    for name in names:
        script(tmp_path, f"print('my {name}')", name=f"app/{name}.py")
    script(tmp_path, f"import {', '.join(names)}\n", name="app/train.py")
    assert "my random" in assert_same(tmp_path, "app/train.py").stdout


def test_a_symbolic_link_finds_its_neighbours(tmp_path: Path) -> None:
    """The first entry of the path is the folder of the file that the link names."""
    script(tmp_path, "import beside, sys\nprint(sys.argv, __file__)\n", name="real/train.py")
    script(tmp_path, "print('beside')", name="real/beside.py")
    os.symlink(tmp_path / "real/train.py", tmp_path / "link.py")
    assert_same(tmp_path, "link.py")


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda name: name.replace(" ", "-"))
def test_a_program_ends_as_it_always_ends(tmp_path: Path, ending: str) -> None:
    """Output, traceback and exit code are Python's own, to the letter."""
    path = tmp_path / "train.py"
    path.write_bytes(ENDINGS[ending].encode("latin-1"))
    assert_same(tmp_path, "train.py")


def test_a_failing_module_is_told_without_our_frames(tmp_path: Path) -> None:
    """The traceback of a module begins in the module: neither our frames nor an import's are on top."""
    script(tmp_path, "1 / 0\n", name="mod.py")
    ran = graddebug("run", "-m", "mod", cwd=tmp_path)
    assert ran.stderr.startswith(f'Traceback (most recent call last):\n  File "{tmp_path}/mod.py", line 1')
    assert ran.returncode == 1


def test_a_program_may_come_from_standard_input(tmp_path: Path) -> None:
    """`-` is the program that is piped in, as for `python -`."""
    source = "import sys\nprint(__name__, sys.argv, repr(sys.path[0]), __spec__, '__file__' in globals())\n"
    words = ("-", "a", "--help")
    plain = python(*words, cwd=tmp_path, stdin=source)
    ours = graddebug("run", "--quiet", *words, cwd=tmp_path, stdin=source)
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, 0)


def test_a_parent_that_fails_by_value_is_the_programs_own_error(tmp_path: Path) -> None:
    """A ValueError of a package is shown with its line, and is not taken for a wrong name."""
    script(tmp_path, "raise ValueError('mine')\n", name="pkg/__init__.py")
    script(tmp_path, "", name="pkg/mod.py")
    ran = graddebug("run", "-m", "pkg.mod", cwd=tmp_path)
    assert f'File "{tmp_path}/pkg/__init__.py", line 1' in ran.stderr
    assert ran.returncode == 1


def test_a_failing_parent_is_the_programs_own_error(tmp_path: Path) -> None:
    """A package that cannot be imported is shown with its traceback, not called missing."""
    script(tmp_path, "import not_there_at_all\n", name="pkg/__init__.py")
    script(tmp_path, "", name="pkg/mod.py")
    ran = graddebug("run", "-m", "pkg.mod", cwd=tmp_path)
    assert "ModuleNotFoundError: No module named 'not_there_at_all'" in ran.stderr
    assert ran.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_the_process_as_python_does(tmp_path: Path) -> None:
    """After SIGINT the process dies of the signal, which a shell reports as 130, after its exit handlers."""
    source = "import atexit, time\natexit.register(print, 'left')\nprint('on', flush=True)\ntime.sleep(60)\n"
    script(tmp_path, source)
    words = [sys.executable, "-m", "graddebug", "run", "train.py"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert (out, err.count("KeyboardInterrupt")) == ("left\n", 1)


def test_shells_see_130(tmp_path: Path) -> None:
    """What a script's `$?` holds after an interrupted run is 130."""
    script(tmp_path, "raise KeyboardInterrupt\n")
    command = f"{sys.executable} -m graddebug run train.py; echo $?"
    ran = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.stdout == "130\n"


def test_spawned_workers_find_the_programs_classes(tmp_path: Path) -> None:
    """Multiprocessing's spawn imports the script again by its path."""
    source = (
        "import multiprocessing as mp\n"
        "class Item:\n    def __init__(self, n): self.n = n\n"
        "def double(item): return Item(item.n * 2)\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n"
        "        print([item.n for item in pool.map(double, [Item(1), Item(2)])])\n"
    )
    script(tmp_path, source)
    ran = assert_same(tmp_path, "train.py")
    assert ran.stdout == "[2, 4]\n"


def test_safe_path_is_respected(tmp_path: Path) -> None:
    """Under `python -P` nothing is put on the path."""
    script(tmp_path, "import sys\nprint(sys.path)\n", name="app/train.py")
    plain = python("-P", "app/train.py", cwd=tmp_path)
    ours = python("-P", "-m", "graddebug", "run", "--quiet", "app/train.py", cwd=tmp_path)
    assert ours.stdout == plain.stdout


@pytest.mark.parametrize(
    ("code", "expected"), [(None, 0), (0, 0), (5, 5), (True, 1), ("text", 1), ((1, 2), 1)]
)
def test_exit_codes_follow_python(code: object, expected: int) -> None:
    """None is success, numbers are themselves, everything else is 1."""
    assert exit_code(code) == expected


def test_an_outcome_knows_how_it_ended() -> None:
    """A program's own exit is a finish, whatever its code; only exceptions are not."""
    assert Outcome(3).reason == "finished"
    assert Outcome(1, ValueError()).reason == "exception"
    assert Outcome(130, KeyboardInterrupt()).reason == "interrupted"


@pytest.mark.parametrize(
    ("program", "title"),
    [
        (Program(name="a/train.py"), "train"),
        (Program(name="pkg.mod", is_module=True), "pkg.mod"),
        (Program(name="app/"), "app"),
    ],
)
def test_a_program_has_a_short_title(program: Program, title: str) -> None:
    """Folders are named after the file or the module."""
    assert program.title == title


@pytest.mark.parametrize(
    "name", ["no_such_package_here", "no_such_package_here.mod", "json.decoder.x", "json"]
)
def test_what_cannot_be_run_is_named(name: str) -> None:
    """A missing module, a module in a module and a package without __main__ are told in Python's words."""
    with pytest.raises(UsageError, match="No module named"):
        find_main_spec(name)


@pytest.mark.parametrize("name", [".relative", "", "a..b"])
def test_impossible_names_are_refused(name: str) -> None:
    """Names that no module can have are a usage error too."""
    with pytest.raises(UsageError):
        find_main_spec(name)
