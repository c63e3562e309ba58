"""The machine's side of the cluster's network, and how it is put back.

A link of our own carries the node's address, so nothing of the cluster listens on an outside
interface, and no packet for a pod or Service that is gone can leave the machine.
"""

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.controlplane import SERVICE_CIDR
from e2e.cluster.debian import Programs
from e2e.cluster.files import write_atomically
from e2e.cluster.interface import ClusterError

LINK = "firewatch0"
NODE_IP = "10.245.0.1"
# One node, so its range is the whole.
POD_CIDR = "10.244.0.0/24"
DNS_IP = "10.96.0.10"
CNI_NAME = "firewatch"

_TABLES = (("ip", "firewatch"), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))
_RULES = f"""
table ip firewatch
delete table ip firewatch
table ip firewatch {{
    chain outside {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {POD_CIDR} ip daddr != {{ {POD_CIDR}, {NODE_IP} }} oifname != "veth*" masquerade
    }}
}}
"""
_SYSCTLS = (
    "net/ipv4/ip_forward",
    # The kubelet sets these.
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_CNI_RESULTS = Path("/var/lib/cni/results")


@dataclass(frozen=True)
class Network:
    """The link, routes, packet filter tables and kernel settings that the cluster needs."""

    programs: Programs
    saved: Path
    """Where the kernel settings as found are kept until they are put back."""

    def up(self) -> None:
        """Make what is missing."""
        self._save_sysctls()
        if not _run(["ip", "link", "show", LINK], check=False):
            _run(["ip", "link", "add", LINK, "type", "bridge"])
        _run(["ip", "address", "replace", f"{NODE_IP}/32", "dev", LINK])
        _run(["ip", "link", "set", LINK, "up"])
        _run(["ip", "route", "replace", SERVICE_CIDR, "dev", LINK, "src", NODE_IP])
        # A live pod has a more specific route.
        _run(["ip", "route", "replace", "unreachable", POD_CIDR])
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._nft(["-f", "-"], _RULES)

    def down(self) -> None:
        """Remove what was made and put the kernel settings back."""
        for family, table in _TABLES:
            with suppress(ClusterError):
                self._nft(["delete", "table", family, table])
        _run(["ip", "route", "delete", "unreachable", POD_CIDR], check=False)
        _run(["ip", "link", "delete", LINK], check=False)
        for result in _CNI_RESULTS.glob(f"{CNI_NAME}-*"):
            container = result.name.split("-")[1]
            for each in (result, _CNI_RESULTS / f"cni-loopback-{container}-lo"):
                each.unlink(missing_ok=True)
        if self.saved.exists():
            for name, value in json.loads(self.saved.read_text()).items():
                Path("/proc/sys", name).write_text(value)

    def _save_sysctls(self) -> None:
        if not self.saved.exists():
            values = {name: Path("/proc/sys", name).read_text().strip() for name in _SYSCTLS}
            write_atomically(self.saved, json.dumps(values))

    def _nft(self, arguments: list[str], rules: str = "") -> None:
        command = [str(self.programs.path("nft")), *arguments]
        _run(command, rules, environment=self.programs.environment)


def cni_configuration(reservations: Path) -> str:
    """Return the pods' network: a point-to-point link each, routed by the host.

    Unlike a bridge it needs no filtering of bridged frames for Services to work between pods.
    """
    addresses = {
        "type": "host-local",
        "dataDir": str(reservations),
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipam": addresses}
    return json.dumps({"cniVersion": "0.4.0", "name": CNI_NAME, "plugins": [plugin]}, indent=2)


def _run(
    command: list[str],
    text: str = "",
    *,
    check: bool = True,
    environment: dict[str, str] | None = None,
) -> bool:
    result = subprocess.run(
        command,
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and result.returncode:
        raise ClusterError(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.returncode == 0
