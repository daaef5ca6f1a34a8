"""Distilled sets on the Hugging Face hub: put there, and fetched again."""

import errno
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
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}


def push(path: str | Path, name: str, *, public: bool = False, licence: str | None = None) -> str:
    """Put the distilled set of a run, or an export of the form ``hf``, on the hub as ``name``; returns its address.

    A new set is private unless ``public``; one that is there gets a new commit. ``licence`` is that of the source data,
    as of :func:`~wmdd.exports.forms.export_run`; an export has its own already.

    Raises:
        RunError: there is no such run or export, or the hub cannot be reached or refuses it.
        SettingsError: ``name`` is none, ``licence`` is given for an export, or huggingface_hub is not installed.
    """
    hub = _library()
    _check_name(name)
    with TemporaryDirectory() as temporary:
        folder = _exported(Path(path), Path(temporary) / _FORM, licence)
        with _asking(hub, name, "write there"):
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
        with _asking(hub, name, "read it"):
            info = hub.HfApi().dataset_info(name)
            files = [entry.rfilename for entry in info.siblings or () if _FILE.fullmatch(entry.rfilename)]
            for file in files:
                hub.hf_hub_download(name, file, repo_type="dataset", revision=info.sha, local_dir=stage)
        shutil.rmtree(stage / ".cache", ignore_errors=True)  # the library's notes
        if not is_export(stage):
            raise RunError(f"{name} on the hub is no set that `wmdd push` has put there: it has no manifest.json.")
        manifest = read_json(stage / "manifest.json")
        check_manifest(manifest, f"manifest.json of {name}")
        if manifest.get("form") != _FORM:
            raise RunError(
                f"{name} on the hub is no set that `wmdd push` has put there: it is not of the form {_FORM}."
            )
    return out


def _exported(path: Path, temporary: Path, licence: str | None) -> Path:
    if not is_export(path):
        run = RunDirectory(path)
        run.config()
        return export_run(run, _FORM, temporary, licence)
    manifest = read_json(path / "manifest.json")
    check_manifest(manifest, str(path / "manifest.json"))
    form = manifest.get("form")
    if form != _FORM:
        raise RunError(f"{path} is an export of the form {form}: give the run, or an export of the form {_FORM}.")
    if licence is not None:
        raise SettingsError(f"--licence has no effect on {path}, which is an export: give it to `wmdd export`.")
    return path


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} names no dataset of the hub: it should be OWNER/NAME.")


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise SettingsError("the hub needs huggingface_hub: run `pip install 'huggingface-hub>=0.25'`.") from error
    return huggingface_hub


@contextmanager
def _asking(hub: Any, name: str, may: str) -> Iterator[None]:
    """Without bars of the library's own; its errors become sentences. ``may`` is what a token has to allow."""
    bars = not hub.utils.are_progress_bars_disabled()
    hub.utils.disable_progress_bars()
    try:
        yield
    except hub.errors.RepositoryNotFoundError as error:
        raise RunError(
            f"the hub knows no dataset {name}, or not to you: check the name, or log in with `hf auth login`."
        ) from error
    except Exception as error:  # the library's own errors, and those of what it speaks HTTP with
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        raise RunError(_sentence(hub, error, name, may)) from error
    finally:
        if bars:
            hub.utils.enable_progress_bars()


def _sentence(hub: Any, error: Exception, name: str, may: str) -> str:
    responses = (getattr(each, "response", None) for each in (error, error.__cause__))
    response = next((each for each in responses if each is not None), None)
    status = getattr(response, "status_code", None)
    if status in (401, 403) or isinstance(error, hub.errors.LocalTokenNotFoundError):
        return f"the hub refuses {name}: log in with `hf auth login`, with a token that may {may}."
    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    reason = said.splitlines()[0].rstrip(".:")
    if status is None:
        return f"the hub cannot be asked for {name} ({reason}): check the connection."
    return f"the hub has an error for {name} ({reason}): fix what it names, or try again later."
