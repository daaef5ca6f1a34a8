"""``wmdd push`` and ``wmdd pull``, spoken to a small stand-in of the hub on this machine."""

import base64
import errno
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub.constants
import pytest
import torch

import wmdd
from wmdd.cli.main import main

SHA = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".parquet", ".png")

# The hub's library puts large files in a way that httpx no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


class Hub(BaseHTTPRequestHandler):
    """What of the hub's HTTP API an upload, a commit and a download need; sets are kept in ``sets``.

    As there, parquet and pictures are large files: put and fetched at an address of their own, and named by their hash.
    """

    sets: dict[str, dict[str, bytes]]
    large: dict[str, bytes]
    private: dict[str, bool]
    asked: list[str]
    answer: int | None
    answer_from: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._refuse():
            return
        path = unquote(self.path.partition("?")[0])
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
            self.private.setdefault(name, bool(wanted.get("private")) or wanted.get("visibility") == "private")
            self.sets.setdefault(name, {})
            self._json({"url": f"{self._address()}/datasets/{name}", "id": name, "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/api/datasets/(.+)/preupload/main", path):
            files = [{"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                      "shouldIgnore": False, "oid": None} for file in json.loads(body)["files"]]  # fmt: skip
            self._json({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [{**file, "actions": {"upload": {"href": f"{self._address()}/large/{file['oid']}"}}}
                       for file in json.loads(body)["objects"]]  # fmt: skip
            self._json({"transfer": "basic", "objects": objects})
        elif found := re.fullmatch(r"/api/datasets/(.+)/commit/main", path):
            kept = self.sets[found[1]]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    kept[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    kept[line["value"]["path"]] = self.large[line["value"]["oid"]]
                elif line["key"] == "deletedFile":
                    del kept[line["value"]["path"]]
            address = f"{self._address()}/datasets/{found[1]}"
            self._json({"commitUrl": f"{address}/commit/{SHA}", "commitOid": SHA, "success": True})
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refuse():
            return
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.large[oid] = body
        self._json({})

    def do_GET(self) -> None:
        if self._refuse():
            return
        path = unquote(self.path.partition("?")[0])
        if path.startswith("/large/"):
            self._content(self.large[path.rpartition("/")[2]])
            return
        if found := re.fullmatch(r"/datasets/(.+?)/resolve/[^/]+/(.+)", path):
            content = self.sets.get(found[1], {}).get(found[2])
            if content is None:
                self._missing("EntryNotFound")
                return
            oid = hashlib.sha256(content).hexdigest()
            if oid in self.large:
                self.send_response(302)
                self.send_header("Location", f"{self._address()}/large/{oid}")
                self.send_header("X-Linked-ETag", f'"{oid}"')
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("X-Repo-Commit", SHA)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._content(content)
            return
        found = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(/.*)?", path)
        if found is None or found[1] not in self.sets:
            self._missing("RepoNotFound")
        elif (found[2] or "").startswith("/tree/"):
            self._json([
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.sets[found[1]].items()
            ])  # fmt: skip
        else:
            files = [{"rfilename": name} for name in self.sets[found[1]]]
            self._json({"id": found[1], "sha": SHA, "siblings": files, "private": self.private[found[1]], "tags": []})

    do_HEAD = do_GET

    def _refuse(self) -> bool:
        self.asked.append(self.path)
        token = self.headers.get("Authorization") or self.path.startswith("/large/")
        status = (self.answer if self.answer_from in self.path else None) if token else 401
        if status is not None:
            self.send_error(status, "Invalid credentials in Authorization header" if token is None else None)
        return status is not None

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _json(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _address(self) -> str:
        return f"http://{self.headers['Host']}"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Hub]]:
    """An empty hub that the library speaks to instead of the real one, with a token."""
    Hub.sets, Hub.large, Hub.private, Hub.asked, Hub.answer, Hub.answer_from = {}, {}, {}, [], None, ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    yield Hub
    server.shutdown()
    server.server_close()


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_was_pushed_is_pulled(
    hub: type[Hub], pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(pristine_run), "someone/colours", "--licence", "CC0"]) == 0
    assert re.fullmatch(r"pushed: http://127.0.0.1:\d+/datasets/someone/colours\n", capsys.readouterr().out)
    assert hub.private == {"someone/colours": True}
    kept = hub.sets["someone/colours"]
    assert set(kept) == {
        *("README.md", "croissant.json", "images.png", "manifest.json", "data/train-00000-of-00001.parquet")
    }
    assert {kept[name] for name in kept if name.endswith(LARGE)} == set(hub.large.values())
    assert main(["pull", "someone/colours", str(tmp_path / "pulled")]) == 0
    assert capsys.readouterr().out == f"pulled: {tmp_path / 'pulled'}\n"
    made, back = wmdd.load(pristine_run), wmdd.load(tmp_path / "pulled")
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.weights, made.weights)
    assert back.class_names == made.class_names
    files = {path.relative_to(tmp_path / "pulled").as_posix() for path in (tmp_path / "pulled").rglob("*.*")}
    assert files == set(kept)


def test_an_export_is_pushed_again_in_place_of_the_old_one(hub: type[Hub], pristine_run: Path, tmp_path: Path) -> None:
    out = wmdd.export(pristine_run, "hf", tmp_path / "out")
    address = wmdd.push(out, "someone/colours", public=True)
    assert address.endswith("/datasets/someone/colours")
    assert hub.private == {"someone/colours": False}
    hub.sets["someone/colours"]["data/train-00001-of-00002.parquet"] = b"of a larger set"
    hub.sets["someone/colours"]["notes.txt"] = b"mine"
    wmdd.push(out, "someone/colours")
    kept = hub.sets["someone/colours"]
    assert "data/train-00001-of-00002.parquet" not in kept
    assert kept["notes.txt"] == b"mine"
    assert kept["manifest.json"] == (out / "manifest.json").read_bytes()


def test_nothing_else_is_pulled(hub: type[Hub], pristine_run: Path, tmp_path: Path) -> None:
    wmdd.push(pristine_run, "someone/colours")
    for name in ("../evil.parquet", "data/../../evil.parquet", "/tmp/evil", "code.py", "data/x.parquet"):
        hub.sets["someone/colours"][name] = b"evil"
    out = wmdd.pull("someone/colours", tmp_path / "below" / "pulled")
    assert len(wmdd.load(out)) == 6
    names = {path.name for path in tmp_path.rglob("*")}
    assert not names & {"evil.parquet", "code.py", "x.parquet"}


def test_what_cannot_be_pulled(
    hub: type[Hub], pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "pulled")
    assert "the hub knows no dataset someone/none" in refused(["pull", "someone/none", out], capsys)
    hub.sets["someone/text"], hub.private["someone/text"] = {"README.md": b"text"}, False
    assert "is no set that `wmdd push` has put there" in refused(["pull", "someone/text", out], capsys)
    hub.sets["someone/text"]["manifest.json"] = b'{"format": "other/1"}'
    assert "manifest.json of someone/text is not the manifest" in refused(["pull", "someone/text", out], capsys)
    hub.sets["someone/text"]["manifest.json"] = b'{"format": "wmdd-export/1", "classes": [], "form": "folder"}'
    assert "it is not of the form hf" in refused(["pull", "someone/text", out], capsys)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "pulled").mkdir()
    assert "is there already" in refused(["pull", "someone/text", out], capsys)


@pytest.mark.parametrize("name", ["colours", "a/b/c", "../x", "a b/c", ""])
def test_names_that_are_none(
    hub: type[Hub], name: str, pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "it should be OWNER/NAME" in refused(["push", str(pristine_run), name], capsys)
    assert "it should be OWNER/NAME" in refused(["pull", name, str(tmp_path / "out")], capsys)
    assert hub.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_refuses(
    hub: type[Hub], status: int, pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wmdd.push(pristine_run, "someone/colours")
    hub.answer = status
    words = ["push", str(pristine_run), "someone/colours"]
    assert "log in with `hf auth login`, with a token that may write there" in refused(words, capsys)
    assert "log in with `hf auth login`" in refused(["pull", "someone/colours", str(tmp_path / "out")], capsys)
    assert list(tmp_path.iterdir()) == []


def test_without_a_token(
    hub: type[Hub], pristine_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/none")
    assert "log in with `hf auth login`" in refused(["push", str(pristine_run), "someone/colours"], capsys)
    assert hub.sets == {}


@pytest.mark.parametrize("where", ["/large/", "/commit/", "/api/repos/create"])
def test_a_hub_that_fails_an_upload(
    hub: type[Hub], where: str, pristine_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.answer, hub.answer_from = 422, where
    said = refused(["push", str(pristine_run), "someone/colours"], capsys)
    assert "the hub has an error for someone/colours" in said
    assert said.endswith("or try again later.")


@pytest.mark.parametrize("where", ["/large/", "/resolve/", "/api/datasets/"])
def test_a_hub_that_fails_a_download(
    hub: type[Hub], where: str, pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wmdd.push(pristine_run, "someone/colours")
    hub.answer, hub.answer_from = 422, where
    refused(["pull", "someone/colours", str(tmp_path / "out")], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room(
    hub: type[Hub],
    pristine_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wmdd.push(pristine_run, "someone/colours")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    assert "out cannot be written: No space left" in refused(["pull", "someone/colours", str(tmp_path / "out")], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_cannot_be_reached(
    hub: type[Hub],
    pristine_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    said = refused(["pull", "someone/colours", str(tmp_path / "out")], capsys)
    assert "check the connection" in said
    assert "check the connection" in refused(["push", str(pristine_run), "someone/colours"], capsys)
    assert hub.asked == []
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_pushed(
    hub: type[Hub], pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = wmdd.export(pristine_run, "tensors", tmp_path / "tensors")
    assert "is an export of the form tensors" in refused(["push", str(out), "someone/colours"], capsys)
    assert "there is no run in" in refused(["push", str(tmp_path / "none"), "someone/colours"], capsys)
    made = wmdd.export(pristine_run, "hf", tmp_path / "hf")
    words = ["push", str(made), "someone/colours", "--licence", "CC0"]
    assert "--licence has no effect on" in refused(words, capsys)
    assert hub.asked == []


def test_without_the_library_the_extra_is_named(
    pristine_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (["push", str(pristine_run), "a/b"], ["pull", "a/b", str(tmp_path / "out")]):
        assert "pip install 'huggingface-hub" in refused(words, capsys)
