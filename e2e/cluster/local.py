"""A cluster of one node on this machine, from binaries and without a container runtime's help.

Every step looks at what is there and does only what is missing. So `up` is the same whether
nothing, everything, or half of it is there, and an interrupted one is mended by the next.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from e2e.cluster import binaries, debian
from e2e.cluster.addons import apply_addons, node_is_ready, provide_volumes, resolves
from e2e.cluster.cgroups import DAEMONS, PODS
from e2e.cluster.controlplane import CONTEXT, ControlPlane
from e2e.cluster.files import locked
from e2e.cluster.images import ImageStore, all_images, all_programs, image_archive
from e2e.cluster.interface import Cluster, ClusterError, Progress, Status
from e2e.cluster.network import NODE_IP, Network
from e2e.cluster.node import (
    Node,
    claim_folders,
    clear_runtime_state,
    release_folders,
    share_root_mount,
    unmount_below,
    unshare_root_mount,
)
from e2e.cluster.places import Places, local_cluster
from e2e.cluster.processes import Processes, command_line, wait_until

_BINARIES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "helm",
)
_PROGRAMS = ("etcd", "containerd", "ctr", "runc", "nft", "ptp", "host-local", "loopback")
# Whoever writes to the API stops before it, and the API before its store.
_STOP_ORDER = (
    *("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"),
    *("kube-apiserver", "etcd", "containerd"),
)


class LocalBackend:
    """The one local cluster of a machine."""

    def __init__(self, places: Places | None = None) -> None:
        self._places = places or local_cluster()
        self._processes = Processes(self._places.records, self._places.logs, cgroup=DAEMONS)

    def build(self, progress: Progress) -> Path:
        """Get everything that must be built or downloaded, and start nothing."""
        debian.ensure(_PROGRAMS, progress)
        folder = binaries.ensure([*_BINARIES, *all_programs()], progress)
        with progress.step("Assembling images") as step:
            for name in all_images():
                step.detail(name)
                image_archive(name, progress)
        return folder

    def up(self, progress: Progress) -> Cluster:
        """Bring the cluster up, or find it up."""
        tools = self.build(progress)
        with self._locked(progress):
            control, node = self._control(tools), self._node(tools)
            with progress.step("Preparing the machine"):
                self._prepare()
            with progress.step("Starting the container runtime and the control plane"):
                self._processes.start(node.containerd())
                control.start()
            with progress.step("Loading images"):
                self._load_own_images(progress)
            with progress.step("Starting the node"):
                self._start_node(node)
                self._await("the node", lambda: node_is_ready(control.api))
            with progress.step("Starting cluster DNS and providing volumes"):
                apply_addons(control.api)
                self.recycle_volumes()
                self._await("cluster DNS", resolves)
            return self._cluster(control, tools)

    def down(self, progress: Progress) -> None:
        """Stop every process and remove everything, data included."""
        with self._locked(progress):
            with progress.step("Stopping processes"):
                for name in _STOP_ORDER[:-1]:
                    self._processes.stop(name, grace=3)
                PODS.kill()
                self._processes.stop(_STOP_ORDER[-1])
                DAEMONS.kill()
            with progress.step("Removing mounts, network and data"):
                self._remove()

    def status(self) -> Status:
        """Look at the processes, the node and DNS."""
        states = self._processes.states()
        alive = {state.name for state in states if state.running}
        if not alive:
            return Status("local", "down", "no process of the cluster runs", None, states)
        kubeconfig = self._places.control / "kubeconfig"
        missing = [name for name in _STOP_ORDER if name not in alive]
        if missing:
            detail = f"not running: {', '.join(missing)}"
        elif not resolves():
            detail = "all processes run, but cluster DNS does not answer"
        else:
            return Status("local", "up", "all processes run, DNS answers", kubeconfig, states)
        return Status("local", "partial", detail, kubeconfig, states)

    def restart_api_server(self) -> None:
        """End the API server, whose store goes on, and start it again; return when it is ready."""
        self._processes.stop("kube-apiserver", grace=0)
        self._control(binaries.binaries_folder()).start()

    def load_image(self, archive: Path) -> Sequence[str]:
        """Import an archive's images into the node's containerd."""
        return self._store().load(archive)

    def recycle_volumes(self) -> Sequence[str]:
        """Empty the volumes whose claims are gone and offer them again; return their names."""
        control = self._control(binaries.binaries_folder())
        return provide_volumes(control.api, self._places.volumes)

    def _locked(self, progress: Progress) -> AbstractContextManager[None]:
        def say_waiting() -> None:
            with progress.step("Another process works on the cluster; waiting for it"):
                pass

        return locked(self._places.root.with_suffix(".lock"), say_waiting)

    def _prepare(self) -> None:
        foreign = [pid for pid in DAEMONS.pids() if self._is_foreign(pid)]
        if foreign:
            raise ClusterError(
                f"Another local cluster runs on this machine (process {foreign[0]}: "
                f"{' '.join(command_line(foreign[0]))[:200]}). Take it down first, as the user "
                "and with the HOME that it was brought up with.",
            )
        if not self._is_running("containerd") and not PODS.pids():
            clear_runtime_state(self._places)
            # The kubelet would spend seconds on each dead container's group.
            PODS.remove()
        DAEMONS.create()
        PODS.create()
        self._network().up()
        claim_folders(self._places)
        share_root_mount(self._places)

    def _is_foreign(self, pid: int) -> bool:
        """Tell by the arguments: each of our daemons is given a path in our folder.

        What the daemons themselves start for a moment is theirs, whatever its arguments.
        """
        arguments = command_line(pid)
        is_daemon = Path(arguments[0]).name in _STOP_ORDER
        return is_daemon and not any(str(self._places.root) in each for each in arguments)

    def _is_running(self, name: str) -> bool:
        return any(state.name == name and state.running for state in self._processes.states())

    def _load_own_images(self, progress: Progress) -> None:
        store = self._store()
        self._await("containerd", store.is_answering, needs=["containerd"])
        for name in all_images():
            store.load(image_archive(name, progress))

    def _start_node(self, node: Node) -> None:
        commands = (node.controller_manager(), node.scheduler(), node.kubelet(), node.kube_proxy())
        for command in commands:
            self._processes.start(command)

    def _await(
        self,
        what: str,
        condition: Callable[[], bool],
        *,
        needs: Sequence[str] = _STOP_ORDER,
        timeout: float = 120,
    ) -> None:
        """Wait for a condition, but not when a process that it needs has ended."""

        def is_settled() -> bool:
            for name in needs:
                self._processes.require(name)
            return condition()

        if not wait_until(is_settled, timeout=timeout):
            raise ClusterError(
                f"Waited {timeout:.0f}s in vain for {what}. The logs are in {self._places.logs}.",
            )

    def _remove(self) -> None:
        if self._places.root.exists():
            unmount_below(self._places.root)
            clear_runtime_state(self._places)
            release_folders(self._places)
            unshare_root_mount(self._places)
            self._network().down()
            shutil.rmtree(self._places.root)
        PODS.remove()
        DAEMONS.remove()

    def _network(self) -> Network:
        return Network(debian.unpacked(), self._places.root / "sysctls.json")

    def _control(self, tools: Path) -> ControlPlane:
        return ControlPlane(
            self._places.control,
            etcd=debian.unpacked().path("etcd"),
            apiserver=tools / "kube-apiserver",
            processes=self._processes,
            address=NODE_IP,
        )

    def _node(self, tools: Path) -> Node:
        return Node(self._places, debian.unpacked(), tools, self._control(tools))

    def _store(self) -> ImageStore:
        programs = debian.unpacked()
        return ImageStore(
            programs.path("ctr"),
            self._places.containerd_socket,
            programs.environment,
        )

    def _cluster(self, control: ControlPlane, tools: Path) -> Cluster:
        return Cluster(
            backend="local",
            version=control.api.request("GET", "/version")["gitVersion"],
            kubeconfig=control.kubeconfig,
            context=CONTEXT,
            audit_log=control.audit_log,
            tools=tools,
            node_address=NODE_IP,
            host_address=NODE_IP,
        )
