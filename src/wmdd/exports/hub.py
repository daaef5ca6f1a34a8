"""Distilled sets on the Hugging Face hub: put there, and fetched again."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wmdd.core.errors import RunError, SettingsError
from wmdd.exports.forms import export_run, is_export
from wmdd.exports.manifest import check_manifest
from wmdd.exports.staged import staged_folder
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_json

_FORM = "hf"
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_FILE = re.compile(r"(manifest|croissant)\.json|README\.md|images\.png|data/train-\d{5}-of-\d{5}\.parquet", re.ASCII)


def push(path: str | Path, name: str, *, public: bool = False, licence: str | None = None) -> str:
    """Put the distilled set of a run, or an export of the form ``hf``, on the hub as ``name``; returns its address.

    A new set is private unless ``public``; one that is there gets a new commit. ``licence`` is that of the source data,
    as of :func:`~wmdd.exports.forms.export_run`.

    Raises:
        RunError: there is no such run or export, or the hub cannot be reached or refuses it.
        SettingsError: ``name`` is none, or huggingface_hub is not installed.
    """
    hub = _library()
    _check_name(name)
    with TemporaryDirectory() as temporary:
        folder = _exported(Path(path), Path(temporary) / _FORM, licence)
        with _asking(hub, name):
            api = hub.HfApi()
            api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                repo_type="dataset",
                folder_path=folder,
                commit_message="Distilled set",
                delete_patterns="data/*",  # or files of a larger set would stay beside these
            )
            return f"{api.endpoint}/datasets/{name}"


def pull(name: str, out: str | Path) -> Path:
    """Fetch the set ``name`` from the hub into the new folder ``out``, which ``wmdd.load`` reads; returns it.

    Only the files of an export are fetched.

    Raises:
        RunError: there is no such set, it is not one of this package's, or the hub cannot be reached.
        SettingsError: ``name`` is none, or huggingface_hub is not installed.
    """
    hub = _library()
    _check_name(name)
    out = Path(out)
    with staged_folder(out) as stage:
        with _asking(hub, name):
            info = hub.HfApi().dataset_info(name)
            files = [entry.rfilename for entry in info.siblings or () if _FILE.fullmatch(entry.rfilename)]
            for file in files:
                hub.hf_hub_download(name, file, repo_type="dataset", revision=info.sha, local_dir=stage)
        shutil.rmtree(stage / ".cache", ignore_errors=True)  # the library's notes
        if not is_export(stage):
            raise RunError(f"{name} on the hub is no set that `wmdd push` has put there: it has no manifest.json.")
        check_manifest(read_json(stage / "manifest.json"), f"manifest.json of {name}")
    return out


def _exported(path: Path, temporary: Path, licence: str | None) -> Path:
    if not is_export(path):
        run = RunDirectory(path)
        run.config()
        return export_run(run, _FORM, temporary, licence)
    form = read_json(path / "manifest.json").get("form")
    if form != _FORM:
        raise RunError(f"{path} is an export of the form {form}: give the run, or an export of the form {_FORM}.")
    return path


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} names no data set of the hub: it should be OWNER/NAME.")


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise SettingsError("the hub needs huggingface_hub: run `pip install 'wmdd[hf]'`.") from error
    return huggingface_hub


@contextmanager
def _asking(hub: Any, name: str) -> Iterator[None]:
    """Without bars of the library's own; its errors become sentences."""
    bars = not hub.utils.are_progress_bars_disabled()
    hub.utils.disable_progress_bars()
    try:
        yield
    except hub.errors.RepositoryNotFoundError as error:
        raise RunError(
            f"the hub knows no data set {name}, or not to you: check the name, or log in with `hf auth login`."
        ) from error
    except Exception as error:  # the library's own errors, and those of what it speaks HTTP with
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403) or isinstance(error, hub.errors.LocalTokenNotFoundError):
            raise RunError(
                f"the hub refuses {name}: log in with `hf auth login`, with a token that may write there."
            ) from error
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RunError(f"the hub cannot be asked for {name} ({reason}): check the connection.") from error
    finally:
        if bars:
            hub.utils.enable_progress_bars()
