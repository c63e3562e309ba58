"""The Helm chart: the operator's pod, how it is found and what it is told."""

from firewatch.settings import Settings, parse_settings
from tests.golden.rendering import CASES, Helm, Object, name_of, of_kind, parse


def pods(objects: list[Object]) -> list[Object]:
    """Return the operator's pod, the pod of `helm test` and that of the release."""
    (deployment,) = of_kind(objects, "Deployment")
    (test,) = of_kind(objects, "Pod")
    (release,) = of_kind(objects, "Job")
    return [deployment["spec"]["template"], test, release["spec"]["template"]]


def environment(objects: list[Object]) -> dict[str, str]:
    container = pods(objects)[0]["spec"]["containers"][0]
    # The variables without a value are the pod's own name, namespace and address.
    return {entry["name"]: entry.get("value", "firewatch") for entry in container["env"]}


def test_pods_meet_the_restricted_level_with_a_read_only_root(objects: list[Object]) -> None:
    for pod in pods(objects):
        spec = pod["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        # Of volumes there is the receiver's certificate at most.
        assert all(volume.keys() == {"name", "secret"} for volume in spec.get("volumes", []))
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]


def test_pods_are_renewed_without_one_too_few(objects: list[Object]) -> None:
    (deployment,) = of_kind(objects, "Deployment")
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}


def test_several_replicas_are_kept_apart_and_one_alone_is_not_kept(helm: Helm) -> None:
    rendered = helm.objects()
    (deployment,) = of_kind(rendered, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    labels = deployment["spec"]["selector"]["matchLabels"]
    affinity = deployment["spec"]["template"]["spec"]["affinity"]
    (preferred,) = affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": labels},
    }
    (budget,) = of_kind(rendered, "PodDisruptionBudget")
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}

    alone = helm.objects("--set", "replicas=1")
    (deployment,) = of_kind(alone, "Deployment")
    assert "affinity" not in deployment["spec"]["template"]["spec"]
    # It would keep a node from being drained.
    assert not of_kind(alone, "PodDisruptionBudget")


def test_an_affinity_of_the_users_own_stays_as_it_is(helm: Helm) -> None:
    own = "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    (deployment,) = of_kind(helm.objects("--set-json", f"{own}=[]"), "Deployment")
    affinity = deployment["spec"]["template"]["spec"]["affinity"]
    assert affinity == {"podAntiAffinity": {own.rpartition(".")[2]: []}}


def test_operator_understands_its_environment(helm: Helm) -> None:
    rendered = helm.objects("--values", CASES / "namespaces.values.yaml")
    assert parse_settings(environment(rendered)) == Settings(
        namespace="firewatch",
        pod="firewatch",
        image=pods(rendered)[0]["spec"]["containers"][0]["image"],
        address="firewatch:9095",
        stack_namespaces=("platform", "shop"),
        cluster_stack_namespaces=("platform",),
        target_namespaces=("shop",),
        restarts=False,
        breakers=False,
        extra_kinds=(),
        source_namespaces=("shop",),
        receiver="firewatch-receiver.firewatch.svc:9095",
        receiver_port=9095,
        receiver_tls="",
        health_port=8080,
        kubeconfig="",
        workers=16,
        namespace_actions=10,
        cluster_actions=30,
        max_targets=5,
        max_failures=5,
        max_breakers=1,
        api_server="",
    )


def test_ports_are_the_same_everywhere(objects: list[Object]) -> None:
    settings = parse_settings(environment(objects))
    container = pods(objects)[0]["spec"]["containers"][0]
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    assert ports == {"http-alerts": settings.receiver_port, "http-health": settings.health_port}
    receiver, metrics = of_kind(objects, "Service")
    assert f"{name_of(receiver)}.firewatch.svc:{settings.receiver_port}" == settings.receiver
    # Without an address of its own, so nothing translates the port.
    assert receiver["spec"]["clusterIP"] == "None"
    assert receiver["spec"]["publishNotReadyAddresses"] is True
    assert receiver["spec"]["ports"][0]["name"] == "http-alerts"
    assert receiver["spec"]["ports"][0]["port"] == settings.receiver_port
    assert metrics["spec"]["ports"][0]["port"] == settings.health_port


def test_services_lead_to_the_operator_and_to_no_other_pod(objects: list[Object]) -> None:
    operator, *others = pods(objects)
    (deployment,) = of_kind(objects, "Deployment")
    selectors = [service["spec"]["selector"] for service in of_kind(objects, "Service")]
    for selector in (*selectors, deployment["spec"]["selector"]["matchLabels"]):
        assert operator["metadata"]["labels"].items() >= selector.items()
        for other in others:
            assert not other["metadata"]["labels"].items() >= selector.items()


def test_extra_labels_are_on_everything_and_win_over_nothing(helm: Helm) -> None:
    rendered = helm.objects("--values", CASES / "everything.values.yaml")
    for item in rendered:
        labels = item["metadata"]["labels"]
        assert labels["cost-centre"] == "42", name_of(item)
        assert labels["app.kubernetes.io/instance"] == "firewatch", name_of(item)
    assert pods(rendered)[0]["metadata"]["labels"]["team"] == "sre"


def test_names_fit_however_long_the_release_is_called(helm: Helm) -> None:
    rendered = parse(helm.template(release="r" * 53))
    assert max(len(name_of(item)) for item in of_kind(rendered, "Service", "Deployment")) <= 63


def test_the_receivers_certificate_is_mounted_as_a_whole(helm: Helm) -> None:
    """A file that is mounted by itself would not follow the Secret."""
    objects = helm.objects("--set", "receiver.tls.secretName=receiver")
    spec = pods(objects)[0]["spec"]
    (volume,) = spec["volumes"]
    assert volume["secret"] == {"secretName": "receiver", "optional": True}
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert mount == {
        "name": volume["name"],
        "mountPath": environment(objects)["FIREWATCH_RECEIVER_TLS"],
        "readOnly": True,
    }
