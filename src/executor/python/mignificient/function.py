"""A function's file: read when the container starts, run when its first invocation has its turn.

Most files put their model on the GPU at the top level, and the GPU is another invocation's until then. What takes long
and needs no GPU comes early all the same: the modules that the request names, and those that the file imports first.
"""
import _ast
import importlib.machinery
import importlib.util
import os
import sys

from . import channel


class LoadFailed(Exception):
    """Why there is no function to call. `failure` is a LoadFailure; the text continues the orchestrator's sentence."""

    def __init__(self, failure, text):
        super().__init__(text)
        self.failure = failure


def describe(error):
    """An exception in a few words: "ValueError: out of paper"."""
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)}) was called"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except BaseException:  # an exception of the tenant's own making
        text = ""
    return f"{name}: {text}" if text else name


def log_traceback(error):
    """Prints it as Python would, from the function's own first frame on."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    sys.__excepthook__(type(error), error.with_traceback(frames), frames)


def _is_ours(filename):
    return os.path.dirname(filename) == os.path.dirname(__file__) or filename.startswith("<frozen importlib")


def preload(modules):
    """Imports what `modules` of the request names. Nothing of the function is known to it, so that one process could
    do it for many functions: the place where a later version forks."""
    for name in modules:
        try:
            __import__(name)
        except BaseException as error:
            log_traceback(error)
            raise LoadFailed(channel.LIBRARY, f"module [{name}] of field [modules] cannot be imported: "
                                              f"{describe(error)}") from error


class Function:
    def __init__(self, path, handler):
        """Compiles the file and imports what it imports first. LoadFailed where it is no Python."""
        self._path = path
        self._handler_name = handler
        self._handler = None
        try:
            with open(path, "rb") as file:
                source = file.read()
            tree = compile(source, path, "exec", flags=_ast.PyCF_ONLY_AST, dont_inherit=True)
            self._code = compile(tree, path, "exec", dont_inherit=True)
        except BaseException as error:
            log_traceback(error)
            raise LoadFailed(channel.LIBRARY, describe(error)) from error
        folder = os.path.dirname(path)
        _import_early(_leading_imports(tree), folder)
        sys.path.insert(0, folder)  # its neighbours can be imported, as by `python3 FILE`
        sys.argv = [path]

    def handler(self):
        """Runs the file if that was not done yet. LoadFailed where it fails, or has no such handler."""
        if self._handler is None:
            module = self._run()
            handler = getattr(module, self._handler_name, None)
            if not callable(handler):
                raise LoadFailed(channel.HANDLER, self._handler_name)
            self._handler = handler
        return self._handler

    def _run(self):
        name = os.path.splitext(os.path.basename(self._path))[0]
        if name in sys.modules:  # another module keeps its name
            name = f"function_{name}"
        loader = importlib.machinery.SourceFileLoader(name, self._path)
        module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, self._path,
                                                                                        loader=loader))
        sys.modules[name] = module  # pickling and dataclasses look it up
        try:
            exec(self._code, module.__dict__)
        except BaseException as error:
            log_traceback(error)
            raise LoadFailed(channel.LIBRARY, describe(error)) from error
        return module


def _leading_imports(tree):
    """The modules of the import statements before any other statement but the docstring."""
    names = []
    for index, statement in enumerate(tree.body):
        if isinstance(statement, _ast.Import):
            names += [alias.name for alias in statement.names]
        elif isinstance(statement, _ast.ImportFrom) and statement.level == 0:
            names.append(statement.module)
        elif not (index == 0 and isinstance(statement, _ast.Expr)):
            break
    return names


def _import_early(names, folder):
    """In their order, until one fails, or is a neighbour of the file and no installed module: the file will tell."""
    for name in names:
        neighbour = importlib.machinery.PathFinder.find_spec(name.partition(".")[0], [folder])
        if neighbour is not None and neighbour.loader is not None:  # and no mere folder of that name
            break
        try:
            __import__(name)
        except BaseException:
            break
