"""Resource Manager's gateway routes, as a client over https finds them."""

import datetime
from typing import Any

import pytest

from tests.support.azure import BOT, READER, SERVICE, SUBSCRIPTION, AzureBed, error_of

GATEWAY = {"properties": {"description": "A new one", "locationData": {"name": "West"}}}


def every_page(bed: AzureBed, **query: str) -> list[list[str]]:
    answer = bed.call("GET", "/gateways", query=query)
    pages = []
    while True:
        body = answer.json()
        pages.append([item["name"] for item in body["value"]])
        if not body["nextLink"]:
            return pages
        assert body["nextLink"].startswith(f"{bed.azure.url}/")
        path = body["nextLink"].removeprefix(bed.azure.url)
        answer = bed.call("GET", path, version=None)


def test_the_service_is_there(bed: AzureBed) -> None:
    body = bed.call("GET", "").json()
    assert (body["id"], body["sku"]["name"]) == (SERVICE, "Premium")


def test_a_list_is_told_in_pages_that_link_to_the_next(bed: AzureBed) -> None:
    pages = every_page(bed, **{"$top": "2"})
    assert pages == [["edge-1", "edge-2"], ["edge-3", "edge-4"], ["edge-5"]]


def test_a_list_can_be_filtered_and_the_filter_holds_on_every_page(bed: AzureBed) -> None:
    assert every_page(bed, **{"$filter": "name eq 'edge-3'"}) == [["edge-3"]]
    pages = every_page(bed, **{"$filter": "contains(name, 'edge')", "$top": "4"})
    assert [len(page) for page in pages] == [4, 1]


@pytest.mark.parametrize("query", [{"$top": "0"}, {"$skip": "-1"}, {"$filter": "1 eq 1"}])
def test_a_faulty_query_is_refused(bed: AzureBed, query: dict[str, str]) -> None:
    assert error_of(bed.call("GET", "/gateways", query=query)) == (400, "ValidationError")


def test_the_case_of_a_path_does_not_count(bed: AzureBed) -> None:
    answer = bed.call("GET", f"{SERVICE}/gateways/edge-1".upper())
    assert answer.json()["name"] == "edge-1"


def test_a_gateway_tells_no_heartbeat_no_status_and_no_token(bed: AzureBed) -> None:
    bed.azure._gateway("contoso", "edge-1").heartbeats["edge-1-abc"] = "2026-11-23T00:00:00+00:00"
    assert bed.call("GET", "/gateways/edge-1").json() == {
        "id": f"{SERVICE}/gateways/edge-1",
        "type": "Microsoft.ApiManagement/service/gateways",
        "name": "edge-1",
        "properties": {"description": "Edge 1", "locationData": {"name": "North"}},
    }


def test_head_gives_the_entity_tag_alone(bed: AzureBed) -> None:
    head = bed.call("HEAD", "/gateways/edge-1")
    assert head.headers["ETag"] == bed.call("GET", "/gateways/edge-1").headers["ETag"]
    assert head.content == b""


def test_a_gateway_is_created_changed_and_deleted(bed: AzureBed) -> None:
    made = bed.call("PUT", "/gateways/new", body=GATEWAY)
    assert made.status_code == 201
    patch = {"properties": {"description": "Another"}}
    changed = bed.call("PATCH", "/gateways/new", body=patch, headers={"If-Match": "*"})
    assert changed.status_code == 200
    assert changed.json()["properties"] == {
        "description": "Another",
        "locationData": {"name": "West"},
    }
    assert changed.headers["ETag"] != made.headers["ETag"]
    gone = bed.call("DELETE", "/gateways/new", headers={"If-Match": changed.headers["ETag"]})
    assert gone.status_code == 200
    assert error_of(bed.call("GET", "/gateways/new")) == (404, "ResourceNotFound")
    assert bed.call("DELETE", "/gateways/new").status_code == 204


def test_a_change_needs_the_entity_tag_that_is_there(bed: AzureBed) -> None:
    first = bed.call("GET", "/gateways/edge-1").headers["ETag"]
    assert bed.call("PUT", "/gateways/edge-1", body=GATEWAY).status_code == 200
    stale = {"If-Match": first}
    for method in ("PUT", "PATCH", "DELETE"):
        answer = bed.call(method, "/gateways/edge-1", body=GATEWAY, headers=stale)
        assert error_of(answer) == (412, "PreconditionFailed"), method
    for method in ("PATCH", "DELETE"):
        answer = bed.call(method, "/gateways/edge-1", body=GATEWAY)
        assert error_of(answer) == (400, "ValidationError"), method


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"properties": []},
        {"properties": {"locationData": "West"}},
        {"properties": {"locationData": {"name": 1}}},
        {"properties": {"description": "x" * 1001, "locationData": {"name": "West"}}},
        ["not an object"],
    ],
)
def test_a_body_that_is_no_gateway_is_refused(bed: AzureBed, body: Any) -> None:
    assert error_of(bed.call("PUT", "/gateways/new", body=body)) == (400, "ValidationError")


def test_the_name_managed_is_taken(bed: AzureBed) -> None:
    answer = bed.call("PUT", "/gateways/managed", body=GATEWAY)
    assert error_of(answer) == (400, "ValidationError")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (SERVICE.replace(SUBSCRIPTION, "other") + "/gateways", "SubscriptionNotFound"),
        (SERVICE.replace("rg-apim", "rg-other") + "/gateways", "ResourceGroupNotFound"),
        (SERVICE.replace("contoso", "other") + "/gateways", "ResourceNotFound"),
        (SERVICE + "/gateways/other", "ResourceNotFound"),
        (SERVICE + "/somethings", "NotFound"),
    ],
)
def test_what_is_not_there_is_not_found_in_arms_words(bed: AzureBed, path: str, code: str) -> None:
    assert error_of(bed.call("GET", path)) == (404, code)


def test_an_api_version_is_required_and_must_be_known(bed: AzureBed) -> None:
    missing = bed.call("GET", "/gateways", version=None)
    assert error_of(missing) == (400, "MissingApiVersionParameter")
    unknown = bed.call("GET", "/gateways", version="2001-01-01")
    assert error_of(unknown) == (400, "InvalidResourceType")
    assert "2024-05-01" in unknown.json()["error"]["message"]


def test_a_method_a_resource_does_not_have_is_refused(bed: AzureBed) -> None:
    assert error_of(bed.call("DELETE", "/gateways")) == (405, "MethodNotAllowed")


def test_each_application_may_do_what_its_role_says(bed: AzureBed) -> None:
    assert bed.token(client=BOT)
    assert bed.call("GET", "/gateways/edge-1", client=READER).status_code == 200
    refused = bed.call(
        "POST", "/gateways/edge-1/regenerateKey", body={"keyType": "primary"}, client=BOT
    )
    assert error_of(refused) == (403, "AuthorizationFailed")
    message = refused.json()["error"]["message"]
    assert "Microsoft.ApiManagement/service/gateways/regenerateKey/action" in message
    assert f"over scope '{SERVICE}/gateways/edge-1'" in message
    minted = bed.call("POST", "/gateways/edge-1/generateToken", client=READER)
    assert error_of(minted) == (403, "AuthorizationFailed")


def test_an_api_is_associated_with_a_gateway_and_taken_away(bed: AzureBed) -> None:
    assert bed.call("DELETE", "/gateways/edge-1/apis/echo-api").status_code == 200
    assert bed.call("GET", "/gateways/edge-1/apis").json()["value"] == []
    assert bed.call("PUT", "/gateways/edge-1/apis/echo-api").status_code == 201
    assert bed.call("PUT", "/gateways/edge-1/apis/echo-api").status_code == 200
    (api,) = bed.call("GET", "/gateways/edge-1/apis").json()["value"]
    assert api["properties"]["path"] == "echo"
    assert bed.call("HEAD", "/gateways/edge-1/apis/echo-api").headers["ETag"]
    assert error_of(bed.call("PUT", "/gateways/edge-1/apis/no-such")) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("collection", "properties"),
    [
        ("hostnameConfigurations", {"hostname": "*.contoso.example", "http2Enabled": True}),
        ("certificateAuthorities", {"isTrusted": True}),
    ],
)
def test_host_names_and_certificates_are_kept(
    bed: AzureBed, collection: str, properties: dict[str, Any]
) -> None:
    path = f"/gateways/edge-1/{collection}/first"
    made = bed.call("PUT", path, body={"properties": properties})
    assert made.status_code == 201
    assert properties.items() <= bed.call("GET", path).json()["properties"].items()
    assert len(bed.call("GET", f"/gateways/edge-1/{collection}").json()["value"]) == 1
    assert error_of(bed.call("DELETE", path))[0] == 400
    stale = bed.call("DELETE", path, headers={"If-Match": '"stale"'})
    assert error_of(stale) == (412, "PreconditionFailed")
    gone = bed.call("DELETE", path, headers={"If-Match": made.headers["ETag"]})
    assert gone.status_code == 200
    assert error_of(bed.call("GET", path)) == (404, "ResourceNotFound")


def test_a_certificate_of_another_service_is_refused(bed: AzureBed) -> None:
    body = {"properties": {"hostname": "a.example", "certificateId": "/somewhere/else"}}
    answer = bed.call("PUT", "/gateways/edge-1/hostnameConfigurations/first", body=body)
    assert error_of(answer) == (400, "ValidationError")


def test_everything_is_there_still_after_a_restart(bed: AzureBed) -> None:
    etag = bed.call("PUT", "/gateways/new", body=GATEWAY).headers["ETag"]
    bed.call("DELETE", "/gateways/edge-1/apis/echo-api")
    before = bed.azure.snapshot()
    assert bed.successor().azure.snapshot() == before
    assert etag in str(before)


def test_nothing_written_is_left_unnoted(bed: AzureBed) -> None:
    bed.call("PUT", "/gateways/new", body=GATEWAY)
    bed.call("POST", "/gateways/new/regenerateKey", body={"keyType": "secondary"})
    bed.call("DELETE", "/gateways/new", headers={"If-Match": "*"})
    assert bed.changes == 3


def test_expiry_is_read_with_any_offset_and_fraction(bed: AzureBed) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    there = moment.astimezone(datetime.timezone(datetime.timedelta(hours=9)))
    values = set()
    for text in (f"{moment:%Y-%m-%dT%H:%M:%S}.1234567Z", there.isoformat(), f"{moment:%FT%T}"):
        body = {"keyType": "primary", "expiry": text}
        answer = bed.call("POST", "/gateways/edge-1/generateToken", body=body)
        values.add(answer.json()["value"])
    (value,) = values
    assert value.split("&")[1] == f"{moment:%Y%m%d%H%M}"
