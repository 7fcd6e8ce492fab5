"""Where the files of a run lie."""

from __future__ import annotations

import os
from pathlib import PureWindowsPath

from llm_perf_opt.errors import PathError

ROOT_VARIABLE = "LLM_PERF_OPT_ROOT"
LONGEST_RUN_ID = 200


def workspace_root() -> str:
    """Return the absolute path of the folder that holds ``tmp/profile-output``.

    It is the folder that the environment variable ``LLM_PERF_OPT_ROOT`` names; without it the working directory,
    and never the checkout that this file may be a part of.

    Raises
    ------
    PathError
        If ``LLM_PERF_OPT_ROOT`` does not name an existing folder.
    """
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen is not None:
        if not os.path.isdir(chosen):
            raise PathError("not an existing folder", place=ROOT_VARIABLE, found=repr(chosen))
        return os.path.abspath(chosen)
    return os.getcwd()


def analytic_model_dir(run_id: str) -> str:
    """Return the absolute path of the folder for the analytic report of a run.

    Raises
    ------
    PathError
        If ``run_id`` is not the plain name of a folder, or the root is not usable.
    """
    name = _checked_run_id(run_id)
    return os.path.join(workspace_root(), "tmp", "profile-output", name, "static_analysis", "analytic_model")


def analytic_layer_docs_dir(run_id: str) -> str:
    """Return the absolute path of the folder for the module pages of a run.

    Raises
    ------
    PathError
        If ``run_id`` is not the plain name of a folder, or the root is not usable.
    """
    return os.path.join(analytic_model_dir(run_id), "layers")


def _checked_run_id(run_id: object) -> str:
    """Return ``run_id`` if it is the plain name of one folder, on every system."""
    if not isinstance(run_id, str):
        raise _refusal("is not text", run_id)
    if not run_id or run_id != run_id.strip():
        raise _refusal("is empty, or begins or ends with a blank", run_id)
    if not run_id.isprintable():
        raise _refusal("holds a character that cannot be shown", run_id)
    if "/" in run_id or "\\" in run_id or PureWindowsPath(run_id).drive:
        raise _refusal("holds a path separator or a drive", run_id)
    if run_id == "." or ".." in run_id:
        raise _refusal("leads to another folder", run_id)
    if len(run_id.encode()) > LONGEST_RUN_ID:
        raise _refusal(f"is longer than {LONGEST_RUN_ID} bytes", run_id)
    return run_id


def _refusal(problem: str, run_id: object) -> PathError:
    return PathError(f"the name {problem}", place="run_id", expected="the plain name of one folder", found=repr(run_id))
