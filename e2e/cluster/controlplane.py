"""An etcd and a kube-apiserver in a folder: the API of a cluster without any node.

The local cluster builds on it, and tests that need a real API server but no pods use it alone:

    with ControlPlane.prepare(tmp_path, SilentProgress()) as control:
        run_something(control.kubeconfig)
"""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from e2e.cluster import binaries, debian
from e2e.cluster.api import Access, Api, write_kubeconfig
from e2e.cluster.certificates import Authority, KeyPair, signing_keys
from e2e.cluster.files import write_atomically
from e2e.cluster.interface import ClusterError, Progress
from e2e.cluster.processes import Command, Processes

CONTEXT = "firewatch-local"
SERVICE_CIDR = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"
AUDIT_LOG_MEGABYTES = 10_240
"""Size at which the audit log would be rotated: none reaches it."""
_AUDIT_POLICY = Path(__file__).parent / "manifests" / "audit-policy.yaml"
_SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True)
class Ports:
    """Where the two servers listen; chosen once for a folder, so that kubeconfigs stay good."""

    etcd: int
    etcd_peer: int
    api: int


class ControlPlane:
    """One API server and its store, kept in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        etcd: Path,
        apiserver: Path,
        processes: Processes,
        address: str = "127.0.0.1",
    ) -> None:
        """Describe the control plane; nothing is started yet.

        A loopback address is for use without nodes: the API server is then not announced as an
        endpoint of the `kubernetes` Service, which cannot hold such an address.
        """
        self._folder = folder
        self._etcd = etcd
        self._apiserver = apiserver
        self._processes = processes
        self._address = address
        self.kubeconfig = folder / "kubeconfig"
        self.audit_log = folder / "audit.log"

    @classmethod
    def prepare(cls, folder: Path, progress: Progress) -> Self:
        """Get what a control plane for tests needs; it dies with the calling process."""
        programs = debian.ensure(["etcd"], progress)
        built = binaries.ensure(["kube-apiserver"], progress)
        processes = Processes(folder / "processes", folder / "logs", bound=True)
        return cls(
            folder,
            etcd=programs.path("etcd"),
            apiserver=built / "kube-apiserver",
            processes=processes,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self._address}:{self._ports().api}"

    @property
    def api(self) -> Api:
        """A client with all rights."""
        return Api(self.access("admin", "firewatch-admin", groups=["system:masters"]))

    @property
    def authority(self) -> Authority:
        """The authority that signs for servers and clients."""
        return Authority(self._folder / "pki", "ca")

    @property
    def service_account_keys(self) -> KeyPair:
        """The keys that sign ServiceAccount tokens."""
        return signing_keys(self._folder / "pki", "service-accounts")

    def start(self, *, timeout: float = 60) -> None:
        """Start what does not run yet and return when the API server is ready."""
        self._processes.start(self._etcd_command())
        self._processes.start(self._apiserver_command())
        admin = self.access("admin", "firewatch-admin", groups=["system:masters"])
        write_kubeconfig(self.kubeconfig, admin, CONTEXT)
        api = Api(admin)
        deadline = time.monotonic() + timeout
        while not api.is_ready():
            for name in ("etcd", "kube-apiserver"):
                self._processes.require(name)
            if time.monotonic() > deadline:
                log = self._processes.log("kube-apiserver")
                raise ClusterError(f"The API server was not ready in {timeout:.0f}s; see {log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop both, the API server first.

        It goes on serving for up to a minute while watches are open. Nothing is lost when it is
        ended before, since its answers are given only after etcd has written.
        """
        self._processes.stop("kube-apiserver", grace=3)
        self._processes.stop("etcd")

    def access(self, name: str, user: str, *, groups: Sequence[str] = ()) -> Access:
        """Return access as a user by certificate; `name` is the file under which it is kept."""
        authority = self.authority
        client = authority.issue(name, user, groups=groups)
        return Access(self.server, authority.pair.certificate, client)

    def user_kubeconfig(self, user: str, *, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig for a user who has what RBAC grants, and nothing else."""
        name = "user-" + user.replace(":", "-").replace("/", "-")
        path = self._folder / f"{name}.kubeconfig"
        write_kubeconfig(path, self.access(name, user, groups=groups), CONTEXT)
        return path

    def service_account_kubeconfig(self, namespace: str, account: str) -> Path:
        """Write a kubeconfig for a ServiceAccount that exists, valid for a day."""
        path = self._folder / f"account-{namespace}-{account}.kubeconfig"
        token = self.api.token(namespace, account)
        access = Access(self.server, self.authority.pair.certificate, token=token)
        write_kubeconfig(path, access, CONTEXT)
        return path

    def _ports(self) -> Ports:
        path = self._folder / "ports.json"
        if not path.exists():
            etcd, peer, api = _free_ports(["127.0.0.1", "127.0.0.1", self._address])
            content = {"etcd": etcd, "etcd_peer": peer, "api": api}
            write_atomically(path, json.dumps(content))
        return Ports(**json.loads(path.read_text()))

    def _etcd_command(self) -> Command:
        ports = self._ports()
        client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
        data = self._folder / "etcd"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        arguments = [
            *(str(self._etcd), "--name=firewatch", f"--data-dir={data}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=firewatch={peer}",
            *("--quota-backend-bytes=4294967296", "--auto-compaction-retention=1h"),
        ]
        return Command("etcd", arguments)

    def _apiserver_command(self) -> Command:
        authority, keys, ports = self.authority, self.service_account_keys, self._ports()
        serving = authority.issue(
            "kube-apiserver",
            "kube-apiserver",
            names=_SERVICE_NAMES,
            addresses=sorted({self._address, "127.0.0.1", _FIRST_SERVICE}),
        )
        kubelet = authority.issue("kubelet-client", "kube-apiserver", groups=["system:masters"])
        front = Authority(self._folder / "pki", "front-proxy-ca")
        proxy = front.issue("front-proxy-client", "front-proxy-client")
        arguments = [
            *(str(self._apiserver), f"--etcd-servers=http://127.0.0.1:{ports.etcd}"),
            *(f"--bind-address={self._address}", f"--secure-port={ports.api}"),
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            *_endpoint_flags(self._address),
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={authority.pair.certificate}",
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={keys.certificate}",
            f"--service-account-signing-key-file={keys.key}",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            # A node's name does not resolve here.
            "--kubelet-preferred-address-types=InternalIP",
            *_aggregation_flags(front, proxy),
            *(f"--audit-policy-file={_AUDIT_POLICY}", f"--audit-log-path={self.audit_log}"),
            # Without rotation, which would cut a count in two; 0 would mean 100 MB.
            f"--audit-log-maxsize={AUDIT_LOG_MEGABYTES}",
        ]
        return Command("kube-apiserver", arguments, inputs=[_AUDIT_POLICY])


def _endpoint_flags(address: str) -> list[str]:
    if address.startswith("127."):
        return ["--endpoint-reconciler-type=none"]
    return [f"--advertise-address={address}"]


def _aggregation_flags(front: Authority, proxy: KeyPair) -> list[str]:
    """Return what API extensions such as metrics servers need to trust the API server."""
    return [
        f"--requestheader-client-ca-file={front.pair.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={proxy.certificate}",
        f"--proxy-client-key-file={proxy.key}",
    ]


def _free_ports(addresses: Sequence[str]) -> list[int]:
    """Ask the kernel for a free port on each address, all different."""
    sockets = []
    for address in addresses:
        bound = socket.create_server((address, 0))
        sockets.append(bound)
    ports = [int(bound.getsockname()[1]) for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports
