"""Who else keeps a target, and what is to be told to it."""

import pytest
import yaml

from firewatch.respond.gitops import Field, Keeper, Tool, find_keeper, remedy

FIELD = Field("apps", "Deployment", "shop", "api", "/spec/replicas")


@pytest.mark.parametrize(
    ("labels", "annotations", "keeper"),
    [
        ({}, {}, None),
        ({"app.kubernetes.io/managed-by": "Helm"}, {}, None),
        (
            {},
            {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/api"},
            Keeper(Tool.ARGO_CD, "shop"),
        ),
        ({"argocd.argoproj.io/instance": "shop"}, {}, Keeper(Tool.ARGO_CD, "shop")),
        (
            {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            },
            {},
            Keeper(Tool.FLUX, "flux-system/apps"),
        ),
        ({"helm.toolkit.fluxcd.io/name": "api"}, {}, Keeper(Tool.FLUX, "api")),
        ({}, {"meta.helm.sh/release-name": "api"}, Keeper(Tool.HELM, "api")),
        (
            {"helm.toolkit.fluxcd.io/name": "x"},
            {"meta.helm.sh/release-name": "api"},
            Keeper(Tool.FLUX, "x"),
        ),
    ],
)
def test_who_keeps_it(
    labels: dict[str, str], annotations: dict[str, str], keeper: Keeper | None
) -> None:
    assert find_keeper({"metadata": {"labels": labels, "annotations": annotations}}) == keeper


def test_what_argo_cd_is_told_is_exact() -> None:
    text = remedy(Keeper(Tool.ARGO_CD, "shop"), FIELD)
    first, _, rest = text.partition("\n")
    assert first == "add to the spec of application shop:"
    assert yaml.safe_load(rest) == {
        "ignoreDifferences": [
            {
                "group": "apps",
                "kind": "Deployment",
                "namespace": "shop",
                "name": "api",
                "jsonPointers": ["/spec/replicas"],
            }
        ],
        "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
    }


@pytest.mark.parametrize("tool", [Tool.FLUX, Tool.HELM])
def test_the_others_are_told_in_words(tool: Tool) -> None:
    assert "leave /spec/replicas of Deployment api out of" in remedy(Keeper(tool, "x"), FIELD)
