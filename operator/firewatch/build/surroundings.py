"""What the objects of a stack depend on besides its own spec."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from firewatch.api.workload import Workload
from firewatch.build.mounted_files import FileRef
from firewatch.build.raw_scrapes import RawScrapes
from firewatch.build.retention import RetentionInForce


@dataclass(frozen=True)
class Surroundings:
    """Inputs that come from the operator's settings and from other resources."""

    receiver: str
    """``host:port`` at which Prometheus reaches the operator's alert receiver."""
    receiver_authority: str | None = None
    """By which certificates Prometheus knows the receiver; None if that speaks plain HTTP."""
    retention: RetentionInForce | None = None
    """What Prometheus keeps, where a RetentionPolicy decides it; else the stack itself does."""
    cluster_namespaces: tuple[str, ...] = ()
    """Namespaces whose stacks may read cluster-scoped objects: ``clusterStacks`` of the chart."""
    missing: frozenset[FileRef] = frozenset()
    """Keys of Secrets and ConfigMaps that the stack names and that are not there."""
    versions: Mapping[FileRef, str] = field(default_factory=dict)
    """The ``resourceVersion`` of the objects that hold the keys which are there."""
    contents: Mapping[FileRef, bytes] = field(default_factory=dict, repr=False)
    """What the keys hold of which an object of the stack has a copy."""
    no_certificates: frozenset[FileRef] = frozenset()
    """Keys that should hold the certificates of Prometheus' own HTTPS, and hold something else."""
    with_blanks: frozenset[FileRef] = frozenset()
    """Keys with the credentials of databases that hold blanks."""
    running_packs: frozenset[str] = frozenset()
    """Packs that run already, or of whose subject something has been seen."""
    raw_scrapes: RawScrapes | None = None
    """Scrape jobs in Prometheus' own words; None if there are none, or not yet."""
    operator_namespace: str = "firewatch"
    """Namespace that the operator runs in."""
    image: str = ""
    """The operator's own image, in which the runner of journeys is too; empty if it is not known."""
    node_last_words: bool = True
    """Whether the node exporter's pods are to say what they ended with."""

    def image_of(self, program: Workload) -> str:
        """Return the image of a program that is in the operator's own; empty if it is not known."""
        return program.image or self.image

    def grants_cluster_scope(self, namespace: str) -> bool:
        """Tell whether stacks of the namespace may read cluster-scoped objects."""
        return namespace in self.cluster_namespaces
