"""The kind backend where there is no Docker: pytest-kind's real code against a stand-in for kind."""

import ast
import inspect
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pytest_kind import KindCluster

from e2e.cluster import backend, binaries, kind
from e2e.cluster.docker import Docker
from e2e.cluster.given import GivenBackend
from e2e.cluster.interface import Backend, ClusterError
from e2e.cluster.kind import NODE_IMAGE, KindBackend
from e2e.cluster.local import LocalBackend
from e2e.cluster.progress import SilentProgress

ROOT = Path(__file__).parents[2]
NODE = {
    "metadata": {"name": "firewatch-control-plane"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}],
    },
}
NETWORK = {"IPAM": {"Config": [{"Gateway": "fc00::1"}, {"Gateway": "172.18.0.1"}]}}
ANSWERS = {
    "/api/v1/nodes": {"kind": "NodeList", "items": [NODE]},
    "/version/": {"major": "1", "minor": "36"},
    "/_ping": {},
    "/networks/kind": NETWORK,
}
KIND = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1 $2" in
"get clusters") cat {folder}/clusters ;;
"create cluster" | "export kubeconfig")
  echo firewatch > {folder}/clusters
  for each in "$@"; do
    case "$each" in --kubeconfig=*) cp {folder}/kubeconfig "${{each#--kubeconfig=}}" ;; esac
  done ;;
esac
"""
KUBECTL = "#!/bin/sh\necho 'serverVersion: {gitVersion: v1.36.1}'\n"


class Handler(BaseHTTPRequestHandler):
    """The API server and the Docker daemon of the test in one."""

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path.partition("?")[0])
        body = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> SimpleNamespace:
    """Return a kind backend whose kind and kubectl are stand-ins."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "clusters").touch()
    cluster = {"name": "c", "cluster": {"server": f"http://{server}"}}
    context = {"name": "kind-firewatch", "context": {"cluster": "c", "user": "u"}}
    kubeconfig = {
        "current-context": "kind-firewatch",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
    }
    (tools / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    for name, text in (("kind", KIND.format(folder=tools)), ("kubectl", KUBECTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setattr(kind, "program", lambda name, _progress: tools / name)
    monkeypatch.setattr(binaries, "ensure", lambda _names, _progress: tools)
    monkeypatch.setattr(binaries, "binaries_folder", lambda: tools)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "kind"
    return SimpleNamespace(
        backend=KindBackend(Docker(f"tcp://{server}"), folder),
        folder=folder,
        calls=lambda: (tools / "calls").read_text().splitlines(),
    )


def test_up_makes_one_cluster_and_finds_it_again(world: SimpleNamespace) -> None:
    cluster = world.backend.up(SilentProgress())
    assert world.backend.up(SilentProgress()) == cluster
    created = [call for call in world.calls() if call.startswith("create cluster")]
    flags = f"--name=firewatch --kubeconfig={world.folder}/kubeconfig --image={NODE_IMAGE}"
    assert created == [f"create cluster {flags} --config {world.folder}/kind.yaml"]
    assert (cluster.version, cluster.context) == ("v1.36.1", "kind-firewatch")
    assert (cluster.node_address, cluster.host_address) == ("172.18.0.2", "172.18.0.1")
    assert world.backend.status().state == "up"


def test_a_lost_kubeconfig_is_written_anew(world: SimpleNamespace) -> None:
    world.backend.up(SilentProgress())
    (world.folder / "kubeconfig").unlink()
    world.backend.up(SilentProgress())
    assert any(call.startswith("export kubeconfig --name=firewatch") for call in world.calls())


def test_down_deletes_the_cluster_and_its_files(world: SimpleNamespace) -> None:
    world.backend.up(SilentProgress())
    world.backend.down(SilentProgress())
    assert world.calls()[-1].startswith("delete cluster --name=firewatch")
    assert not world.folder.exists()
    assert world.backend.status().state == "down"


def test_the_flags_of_the_api_server_are_added_to_those_of_kind(world: SimpleNamespace) -> None:
    world.backend.up(SilentProgress())
    configuration = yaml.safe_load((world.folder / "kind.yaml").read_text())
    (patch,) = configuration["kubeadmConfigPatchesJSON6902"]
    paths = [operation["path"] for operation in yaml.safe_load(patch["patch"])]
    assert paths == ["/apiServer/extraArgs/-"] * 3 + ["/apiServer/extraVolumes"]


def test_pytest_kind_leaves_nothing_in_the_current_folder(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    world.backend.up(SilentProgress())
    assert not (tmp_path / ".pytest-kind").exists()


def test_every_call_fits_the_signatures_of_pytest_kind() -> None:
    """Also of what the stand-in never reaches, whatever is called next."""
    tree = ast.parse(Path(kind.__file__).read_text())
    checked = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        method = KindCluster if name == "KindCluster" else getattr(KindCluster, name, None)
        if method is None:
            continue
        keywords = {str(each.arg): None for each in node.keywords}
        self = [] if method is KindCluster else [None]
        inspect.signature(method).bind(*self, *node.args, **keywords)
        checked.add(name)
    assert checked == {"KindCluster", "create", "kubectl", "delete"}


def test_pytest_kind_is_imported_in_one_module_only() -> None:
    """It is licensed under the GPL."""
    sources = [
        path for name in ("operator", "e2e", "bench") for path in (ROOT / name).rglob("*.py")
    ]
    users = [path.name for path in sources if "pytest_kind" in path.read_text()]
    assert users == ["kind.py"]


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set no variable and let no daemon answer."""
    monkeypatch.delenv("FIREWATCH_KUBECONFIG", raising=False)
    monkeypatch.delenv("FIREWATCH_BACKEND", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr("os.geteuid", lambda: 0)


def chosen() -> type[Backend]:
    return type(backend.choose())


@pytest.mark.usefixtures("no_choice")
class TestChoice:
    def test_docker_means_kind_unless_local_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, server: str
    ) -> None:
        assert chosen() is LocalBackend
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{server}")
        assert chosen() is KindBackend
        monkeypatch.setenv("FIREWATCH_BACKEND", "local")
        assert chosen() is LocalBackend

    def test_a_given_cluster_comes_first(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str
    ) -> None:
        kubeconfig = tmp_path / "given"
        kubeconfig.write_text("current-context: firewatch-test\n")
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{server}")
        monkeypatch.setenv("FIREWATCH_KUBECONFIG", str(kubeconfig))
        assert chosen() is GivenBackend
        monkeypatch.setenv("FIREWATCH_BACKEND", "kind")
        assert chosen() is KindBackend

    def test_a_given_cluster_that_is_not_for_tests_is_refused_unless_forced(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        kubeconfig = tmp_path / "given"
        kubeconfig.write_text("current-context: production\n")
        monkeypatch.setenv("FIREWATCH_KUBECONFIG", str(kubeconfig))
        with pytest.raises(ClusterError, match="'production'"):
            backend.choose()
        monkeypatch.setenv("FIREWATCH_KUBECONFIG_FORCE", "1")
        assert chosen() is GivenBackend

    def test_what_cannot_be_had_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIREWATCH_BACKEND", "kind")
        with pytest.raises(ClusterError, match="no kind cluster"):
            backend.choose()
        monkeypatch.setenv("FIREWATCH_BACKEND", "minikube")
        with pytest.raises(ClusterError, match="minikube"):
            backend.choose()
        monkeypatch.setenv("FIREWATCH_BACKEND", "local")
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(ClusterError, match="root"):
            backend.choose()
