"""Who manages an object is told by what that manager leaves behind, and nobody is named who does not."""

from collections.abc import Sequence

import pytest

from deploy.observed.managers import ARGO_CD, AZURE_ARC, FLUX, HELM, Manager, manager_of
from tests.support import managed
from tests.support.managed import Marks, each, live

SHAPES = {
    ARGO_CD: (managed.ARGO_CD, managed.LIKE_ARGO_CD, managed.PERHAPS_ARGO_CD),
    FLUX: (managed.FLUX, managed.LIKE_FLUX, managed.PERHAPS_FLUX),
    HELM: (managed.HELM, managed.LIKE_HELM, managed.PERHAPS_HELM),
    AZURE_ARC: (managed.AZURE_ARC, managed.LIKE_AZURE_ARC, managed.PERHAPS_AZURE_ARC),
}


@pytest.mark.parametrize("tool", SHAPES)
def test_twenty_shapes_of_each_manager_name_it_and_what_it_applies(tool: str) -> None:
    shapes = list(each(SHAPES[tool][0]))
    assert len(shapes) == 20
    for item in shapes:
        found = manager_of(item)
        assert found is not None, item
        assert (found.tool, found.name, found.certain) == (tool, "edge", True), item


@pytest.mark.parametrize("tool", SHAPES)
def test_twenty_shapes_that_only_look_like_a_manager_name_it_nowhere(tool: str) -> None:
    shapes = list(each(SHAPES[tool][1]))
    assert len(shapes) >= 20
    for item in shapes:
        found = manager_of(item)
        assert found is None or found.tool != tool, item


@pytest.mark.parametrize("tool", SHAPES)
def test_what_only_suggests_a_manager_is_said_as_perhaps(tool: str) -> None:
    for item in each(SHAPES[tool][2]):
        found = manager_of(item)
        assert found is not None, item
        assert (found.tool, found.certain, found.undoes) == (tool, False, False), item
        assert str(found).startswith(f"perhaps {tool}")


def test_what_another_object_owns_is_managed_by_that() -> None:
    for item in each(managed.OWNED):
        found = manager_of(item)
        assert found is not None, item
        assert found.certain, item
    for item in each(managed.LIKE_OWNED):
        assert manager_of(item) is None, item
    owner = {"kind": "ApiGateway", "name": "edge", "controller": False}
    assert str(manager_of(live("Secret", {"owners": [owner]}))) == "perhaps ApiGateway edge"


def test_objects_of_nobody_and_of_this_bot_have_no_manager() -> None:
    ours: Sequence[Marks] = (
        {},
        {"writers": [("kubectl-client-side-apply", "Update", "")]},
        {
            "labels": {"app.kubernetes.io/managed-by": "gateway-bot"},
            "writers": [("gateway-bot", "Apply", "")],
        },
    )
    assert [manager_of(item) for item in each(ours)] == [None] * 15
    assert manager_of({"metadata": {"name": "edge-1", "namespace": "dev"}}) is None


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (managed.ARGO_CD[0], "Argo CD (application edge)"),
        (managed.FLUX[0], "Flux (Kustomization flux-system/edge)"),
        (managed.FLUX[2], "Flux (HelmRelease flux-system/edge)"),
        (managed.HELM[0], "Helm (release prod/edge)"),
        (managed.AZURE_ARC[0], "Azure Arc (extension edge)"),
        (managed.OWNED[0], "ApiGateway edge"),
        (managed.OWNED[3], "External Secrets"),
        (managed.PERHAPS_ARGO_CD[0], "perhaps Argo CD"),
        (managed.PERHAPS_HELM[1], "perhaps Helm (release prod/edge)"),
    ],
)
def test_a_manager_is_named_with_what_it_applies_the_object_from(marks: Marks, said: str) -> None:
    assert str(manager_of(live("Deployment", marks))) == said


@pytest.mark.parametrize("mark", [{"reconcile": "disabled"}, {"ssa": "Ignore"}])
def test_flux_takes_nothing_back_where_the_object_says_to_leave_it_alone(
    mark: dict[str, str],
) -> None:
    told = {f"kustomize.toolkit.fluxcd.io/{key}": value for key, value in mark.items()}
    found = manager_of(live("Deployment", {**managed.FLUX[0], "annotations": told}))
    assert found == Manager(FLUX, "Kustomization", "edge", "flux-system", paused=True)
    assert not found.undoes


def test_where_several_left_marks_the_one_that_applies_the_object_counts() -> None:
    once_helm = {
        "labels": managed.HELM[0]["labels"],
        "annotations": {**managed.HELM[0]["annotations"], **managed.ARGO_CD[0]["annotations"]},
        "writers": managed.ARGO_CD[0]["writers"],
    }
    assert str(manager_of(live("Deployment", once_helm))) == "Argo CD (application edge)"
    hinted = {
        **managed.HELM[0],
        "annotations": {**managed.HELM[0]["annotations"], "argocd.argoproj.io/sync-wave": "1"},
    }
    assert str(manager_of(live("Deployment", hinted))) == "Helm (release prod/edge)"
