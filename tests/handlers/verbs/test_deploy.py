"""What is not named stays as it runs: registry, digest and endpoint of a gateway that this bot deployed."""

import dataclasses
import json
from typing import Any

import pytest

from deploy.azure import ApimInstance
from deploy.clouds import CLOUDS
from deploy.errors import Ambiguous, InvalidInput, NotFound, Unavailable
from deploy.plans.requests import DeployRequest
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_to_mapping
from handlers.actions.target import place_of
from handlers.slack.payloads import Request
from tests.support.deploy_verb import OFFICIAL, Showing, deploy_asked
from tests.support.gateway_bed import HOST, INSTANCE, REF, SPEC

MIRROR = "registry.contoso.com:5000/mirror/azure-api-management/gateway"
GUID = "00000000-0000-0000-0000-000000000001"
DIGEST = f"sha256:{'a' * 64}"
OTHER = ApimInstance("fabrikam", "sub", "group", "fabrikam", "fabrikam.configuration.azure-api.net")

AGENCY = dataclasses.replace(
    OTHER,
    name="agency",
    configuration_endpoint="agency.configuration.azure-api.us",
    cloud=CLOUDS["usgov"],
)


def asked(before: GatewaySpec | None, *, gateway: str = "edge-1", **options: Any) -> DeployRequest:
    """What `deploy` asks for, onto a gateway that runs."""
    live = None
    if before is not None:
        live = next(o for o in render(before, "t") if o["kind"] == "Deployment")
    return deploy_asked(
        Showing(live),
        f"west/{REF.namespace}",
        gateway=gateway,
        instances={"contoso": INSTANCE, "fabrikam": OTHER, "agency": AGENCY},
        **options,
    )


def named(**changes: Any) -> GatewaySpec:
    return dataclasses.replace(SPEC, **changes)


def test_the_registry_of_a_gateway_that_runs_stays() -> None:
    assert asked(named(repository=MIRROR), gateway="contoso/edge-1", tag="2.12.1").spec == named(
        repository=MIRROR, tag="2.12.1"
    )
    # What another registry has is not known.
    assert asked(named(repository=MIRROR), gateway="contoso/edge-1", tag="2.12.1-own").spec.tag == (
        "2.12.1-own"
    )
    with pytest.raises(NotFound, match="no tag"):
        asked(SPEC, gateway="contoso/edge-1", tag="2.12.1-own")


def test_a_tag_that_a_mirror_has_not_pulled_yet_may_be_deployed_where_microsoft_has_it() -> None:
    mirrored = {MIRROR: ["2.11.1-own"]}
    own = named(repository=MIRROR)
    for tag in ("2.12.1", "2.11.1-own"):
        spec = asked(own, gateway="contoso/edge-1", tag=tag, mirrored=mirrored).spec
        assert (spec.repository, spec.tag) == (MIRROR, tag)
    with pytest.raises(NotFound, match=f"{MIRROR} has no tag “2.12.2”") as missing:
        asked(own, gateway="contoso/edge-1", tag="2.12.2", mirrored=mirrored)
    assert "2.12.1" in missing.value.remedy


def test_a_tag_that_is_cut_short_brings_the_newest_that_begin_like_it() -> None:
    with pytest.raises(NotFound, match="no tag") as missing:
        asked(SPEC, gateway="contoso/edge-1", tag="2.1")
    assert missing.value.remedy.startswith("Did you mean 2.12.1")


@pytest.mark.parametrize("repository", [OFFICIAL, MIRROR])
def test_the_tag_that_runs_may_be_deployed_whatever_registries_list(repository: str) -> None:
    old = named(repository=repository, tag="2.9.0-own")
    mirrored = {MIRROR: ["2.11.1"]}
    asking: dict[str, Any] = {"gateway": "contoso/edge-1", "tag": "2.9.0-own", "mirrored": mirrored}
    assert asked(old, **asking, replicas=5).spec == dataclasses.replace(old, replicas=5)
    # A file says all, so what runs is not read for it.
    file = f"image: {{repository: '{repository}', tag: 2.9.0-own}}"
    assert asked(old, **asking, file=file).spec.tag == "2.9.0-own"
    with pytest.raises(NotFound, match="no tag"):
        asked(None, **asking, file=file)


def test_a_registry_of_microsoft_that_does_not_answer_refuses_no_tag() -> None:
    def away() -> tuple[str, ...]:
        raise Unavailable("The registry does not answer.")

    own = named(repository=MIRROR)
    mirrored = {MIRROR: ["2.11.1"]}
    spec = asked(own, gateway="contoso/edge-1", tag="2.12.1", mirrored=mirrored, released=away).spec
    assert spec.tag == "2.12.1"


def test_a_new_gateway_has_the_registry_and_the_endpoint_of_the_settings() -> None:
    spec = asked(None, gateway="contoso/edge-1", tag="2.12.1").spec
    assert (spec.repository, spec.apim.configuration_endpoint) == (OFFICIAL, HOST)


def test_an_endpoint_stays_with_its_instance_and_goes_with_another() -> None:
    own = dataclasses.replace(SPEC.apim, configuration_endpoint="apim.contoso.com")
    same = asked(named(apim=own), gateway="contoso/edge-1", tag="2.12.1")
    assert same.spec.apim.configuration_endpoint == "apim.contoso.com"
    moved = asked(named(apim=own), gateway="fabrikam/edge-1", tag="2.12.1")
    assert moved.spec.apim.configuration_endpoint == OTHER.configuration_endpoint


def test_a_gateway_of_a_sovereign_cloud_signs_in_there() -> None:
    own = ["auth.type=entraApp", f"auth.clientId={GUID}", f"auth.tenantId={GUID}"]
    own += ["auth.clientSecret={name: app, key: value}"]
    spec = asked(None, gateway="agency/edge-1", tag="2.12.1", set=own).spec
    settings = next(o for o in render(spec, None) if o["kind"] == "ConfigMap")["data"]
    assert settings["config.service.endpoint"] == AGENCY.configuration_endpoint
    assert settings["config.service.auth.tokenAudience"] == "https://azure-api.us/configuration"
    assert settings["config.service.auth.azureAd.authority"] == "https://login.microsoftonline.us"
    public = asked(None, gateway="contoso/edge-1", tag="2.12.1", set=own).spec
    assert (public.auth.audience, public.auth.authority) == (None, None)


def test_a_digest_stays_with_its_tag_and_goes_with_another() -> None:
    pinned = named(digest=DIGEST)
    assert pinned.image == f"{OFFICIAL}:2.11.1@{DIGEST}"
    assert asked(pinned, gateway="contoso/edge-1", tag="2.11.1").spec.digest == DIGEST
    assert asked(pinned, gateway="contoso/edge-1", tag="2.12.1").spec.digest is None
    other = f"sha256:{'b' * 64}"
    again = asked(pinned, gateway="contoso/edge-1", tag="2.12.1", set=[f"image.digest={other}"])
    assert again.spec.digest == other


@pytest.mark.parametrize(
    "options",
    [
        {"tag": f"2.12.1@{DIGEST}"},
        {"tag": "2.12.1", "set": [f"image.digest={DIGEST}"]},
        {"tag": "2.12.1", "more": f"image: {{digest: '{DIGEST}'}}"},
        {"tag": "2.11.1", "set": [f"image.tag=2.12.1@{DIGEST}"]},
    ],
)
@pytest.mark.parametrize("file", [False, True])
def test_a_digest_that_is_asked_for_stays_though_it_runs_under_another_tag(
    options: dict[str, Any], file: bool
) -> None:
    more = {"file": f"image: {{tag: '2.11.1@{DIGEST}'}}"} if file else {}
    spec = asked(named(digest=DIGEST), gateway="contoso/edge-1", **options, **more).spec
    assert (spec.tag, spec.digest) == ("2.12.1", DIGEST)


def test_a_tag_may_bring_its_digest_which_replaces_the_one_that_runs() -> None:
    other = f"sha256:{'b' * 64}"
    pinned = named(digest=DIGEST)
    for options in (
        {"tag": f"2.12.1@{other}"},
        {"tag": "2.12.1", "set": [f"image.tag=2.12.1@{other}"]},
        {"tag": "2.11.1", "more": f"image: {{tag: '2.12.1@{other}'}}"},
        # A digest is pulled whatever its tag, so it may be of no version.
        {"tag": f"2.12.1-own@{other}"},
    ):
        spec = asked(pinned, gateway="contoso/edge-1", **options).spec
        assert (spec.tag.removesuffix("-own"), spec.digest) == ("2.12.1", other)
    file = f"image: {{tag: '2.11.1@{other}'}}"
    kept = asked(None, gateway="contoso/edge-1", tag="2.11.1", file=file).spec
    assert kept.digest == other
    assert asked(None, gateway="contoso/edge-1", tag="2.12.1", file=file).spec.digest is None


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, False),
        ({"replicas": 2}, True),
        ({"set": ["replicas=2"]}, True),
        ({"more": "replicas: 2"}, True),
        ({"set": ["logs.level=warn"]}, False),
    ],
)
def test_it_is_known_whether_a_number_of_pods_was_asked_for(
    options: dict[str, Any], counts: bool
) -> None:
    assert asked(SPEC, gateway="contoso/edge-1", tag="2.12.1", **options).counts is counts


def test_planned_again_what_was_asked_goes_over_what_runs_by_then() -> None:
    one = asked(SPEC, gateway="contoso/edge-1", tag="2.12.1", set=["logs.format=json"])
    meanwhile = named(replicas=5, log_level="debug", tag="2.10.0")
    again = one.onto(spec_to_mapping(meanwhile))
    assert again.spec == dataclasses.replace(meanwhile, tag="2.12.1", log_format="json")
    assert again.onto(spec_to_mapping(meanwhile)) == again
    stored = DeployRequest.from_mapping(json.loads(json.dumps(one.to_mapping())))
    assert stored == one
    # An older bot reads it as a whole spec, and what that one wrote stays what it was.
    older = DeployRequest.from_mapping({"spec": spec_to_mapping(SPEC), "take_over": False})
    assert older.onto(spec_to_mapping(meanwhile)) == older


def test_what_was_asked_for_by_name_is_asked_for_though_it_was_so_already() -> None:
    one = asked(SPEC, gateway="contoso/edge-1", tag=SPEC.tag, replicas=SPEC.replicas)
    again = one.onto(spec_to_mapping(named(replicas=5, tag="2.10.0"))).spec
    assert (again.tag, again.replicas) == (SPEC.tag, SPEC.replicas)


def test_a_file_says_all_also_when_it_is_planned_again() -> None:
    file = "image: {tag: 2.11.1}\nreplicas: 2"
    one = asked(SPEC, gateway="contoso/edge-1", tag="2.11.1", file=file)
    assert one.asked is None
    assert one.onto(spec_to_mapping(named(replicas=5))) == one


@pytest.mark.parametrize(
    ("option", "value", "more"),
    [
        ("replicas", 3, {"set": ["replicas=2"]}),
        ("cpu", "1", {"set": ["resources.cpu=500m"]}),
        ("service", "ClusterIP", {"more": "service: {type: LoadBalancer}"}),
    ],
)
def test_an_option_and_a_field_that_contradict_each_other_are_refused(
    option: str, value: Any, more: dict[str, Any]
) -> None:
    given = {"tag": "2.12.1", option: value, **more}
    with pytest.raises(InvalidInput, match=f"`--{option}` says {value}, and") as refused:
        asked(SPEC, gateway="contoso/edge-1", **given)
    assert refused.value.field == option
    same = asked(SPEC, gateway="contoso/edge-1", tag="2.12.1", replicas=3, set=["replicas=3"])
    assert same.spec.replicas == 3


def test_a_cluster_without_a_namespace_is_not_taken_for_a_namespace() -> None:
    request = Request("r", "deploy", "U1", "C1", options={"to": "west"})
    with pytest.raises(InvalidInput, match="is a cluster, and the namespace is missing") as refused:
        place_of(request, ["east", "west"])
    assert "`--to west/NAMESPACE`" in refused.value.remedy
    with pytest.raises(Ambiguous):
        place_of(dataclasses.replace(request, options={"to": "dev"}), ["east", "west"])
