"""Finding the app, and saying why it was not found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskq import TaskQ
from taskq.app import default_app
from taskq.errors import ConfigError
from taskq_workers.loader import AppNotFound, load_app

Write = Callable[[str, str], Path]
APP = "from taskq import TaskQ\napp = TaskQ()\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's folder is the current one; what is imported in it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write(here: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def refusal(reference: str) -> str:
    with pytest.raises(AppNotFound) as caught:
        load_app(reference)
    return str(caught.value)


# Found


def test_a_module_and_a_name(write: Write) -> None:
    write("shop1.py", "from taskq import TaskQ\napp = TaskQ(namespace='a')\nother = TaskQ(namespace='b')\n")
    assert load_app("shop1:app").namespace == "a"
    assert load_app("shop1:other").namespace == "b"


def test_a_module_with_one_app(write: Write) -> None:
    write("shop2.py", "from taskq import TaskQ\ncelery = TaskQ(namespace='only')\nsame = celery\n")
    assert load_app("shop2").namespace == "only"


def test_a_module_in_a_package(write: Write) -> None:
    write("store3/__init__.py", "")
    write("store3/tasks.py", APP)
    assert isinstance(load_app("store3.tasks:app"), TaskQ)
    assert isinstance(load_app("store3.tasks"), TaskQ)


def test_a_file_whose_neighbours_can_be_imported(write: Write) -> None:
    write("deep/er/neighbour4.py", "name = 'near'\n")
    path = write(
        "deep/er/shop4.py", "import neighbour4\nfrom taskq import TaskQ\napp = TaskQ(namespace=neighbour4.name)\n"
    )
    assert load_app("deep/er/shop4.py").namespace == "near"
    assert load_app(f"{path}:app").namespace == "near"


def test_a_factory(write: Write) -> None:
    write("shop5.py", "from taskq import TaskQ\ndef make():\n    return TaskQ(namespace='made')\n")
    assert load_app("shop5:make()").namespace == "made"
    assert load_app("shop5.py:make()").namespace == "made"


def test_the_default_app_of_a_module_that_uses_the_bare_decorator(write: Write) -> None:
    write("shop6.py", "from taskq import task\n@task\ndef add(x): ...\n")
    try:
        assert load_app("shop6") is default_app()
        assert "shop6.add" in default_app().tasks
    finally:
        default_app.cache_clear()


# Not found


def test_a_module_that_is_not_there_says_where_it_was_looked_for(write: Write) -> None:
    assert refusal("nowhere7") == (
        "cannot import 'nowhere7'\n  looked in: the current directory, PYTHONPATH\n"
        "  hint: pass -A module:app, or set [tool.taskq] app"
    )


def test_a_module_that_is_nearly_there_is_suggested(write: Write) -> None:
    write("tasks.py", APP)
    assert refusal("taskz") == (
        "cannot import 'taskz'\n  looked in: the current directory, PYTHONPATH\n"
        "  hint: did you mean 'tasks' (tasks.py is here)? pass -A tasks, or set [tool.taskq] app"
    )


def test_a_package_that_is_not_there_is_named(write: Write) -> None:
    assert refusal("nowhere8.tasks:app").startswith("cannot import 'nowhere8'\n")


def test_a_module_that_is_not_in_its_package_is_named(write: Write) -> None:
    write("store9/__init__.py", "")
    assert refusal("store9.tasks:app").startswith("cannot import 'store9.tasks'\n")


def test_a_module_that_misses_a_module_itself_says_which(write: Write) -> None:
    write("shop10.py", "import nowhere10\n")
    with pytest.raises(ModuleNotFoundError, match="nowhere10"):
        load_app("shop10")


def test_an_error_in_the_module_is_raised_as_it_is(write: Write) -> None:
    write("shop11.py", "raise RuntimeError('no database')\n")
    with pytest.raises(RuntimeError, match="no database"):
        load_app("shop11:app")


def test_a_name_that_is_not_there(write: Write) -> None:
    write("shop12.py", APP)
    assert refusal("shop12:queue") == "module 'shop12' has no 'queue'\n  hint: pass -A shop12:NAME"


def test_a_name_that_is_nearly_there_is_suggested(write: Write) -> None:
    write("shop13.py", APP)
    assert refusal("shop13:aap") == "module 'shop13' has no 'aap'\n  hint: did you mean 'shop13:app'?"
    assert refusal("shop13:aap()") == "module 'shop13' has no 'aap'\n  hint: did you mean 'shop13:app'?"


def test_a_name_that_is_no_app(write: Write) -> None:
    write("shop14.py", "app = 'taskq'\ndef make(): ...\n")
    assert refusal("shop14:app") == "'shop14:app' is a str, not a TaskQ\n  hint: name the app: -A shop14:app"
    assert refusal("shop14:make()").startswith("'shop14:make()' is a NoneType, not a TaskQ")
    assert refusal("shop14:make").startswith("'shop14:make' is a function, not a TaskQ")


def test_a_module_without_an_app(write: Write) -> None:
    write("shop15.py", "x = 1\n")
    assert refusal("shop15") == "module 'shop15' has no app\n  hint: name one: -A shop15:app"


def test_a_module_with_two_apps(write: Write) -> None:
    write("shop16.py", APP + "other = TaskQ()\n")
    assert refusal("shop16") == "module 'shop16' has 2 apps\n  hint: name one: -A shop16:app"


def test_a_file_that_is_not_there(write: Write, here: Path) -> None:
    assert refusal("shop17.py:app") == f"cannot find the file 'shop17.py'\n  looked in: {here}"


@pytest.mark.parametrize(("name", "other"), [("json", "__init__.py"), ("sys", "built in")])
def test_a_file_that_goes_by_the_name_of_a_module_that_is_there_already(write: Write, name: str, other: str) -> None:
    write(f"{name}.py", APP)
    text = refusal(f"{name}.py:app")
    assert text.startswith(f"cannot import '{name}.py': there is another module '{name}' (")
    assert text.endswith(f"{other})\n  hint: rename the file")


@pytest.mark.parametrize("reference", ["", ":app", ".tasks", ".tasks:app"])
def test_what_is_no_name_of_a_module(reference: str) -> None:
    assert refusal(reference).startswith(f"cannot import '{reference.partition(':')[0]}'\n")


def test_an_app_that_is_not_found_is_a_matter_of_configuration() -> None:
    assert issubclass(AppNotFound, ConfigError)
