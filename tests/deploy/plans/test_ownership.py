"""Whose fields are left to others once the bot applies them."""

from typing import Any

from deploy.plans.ownership import without_shared


def entry(manager: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


def ours(fields: dict[str, Any]) -> dict[str, Any]:
    return entry("gateway-bot", fields, operation="Apply")


def test_others_lose_what_the_bot_applies_and_keep_the_rest() -> None:
    theirs = {"f:spec": {"f:replicas": {}, "f:paused": {}}, "f:metadata": {"f:labels": {"f:a": {}}}}
    managed = [ours({"f:spec": {"f:replicas": {}}}), entry("kubectl", theirs)]
    kept = without_shared(managed, "gateway-bot")
    assert kept[0] == managed[0]
    assert kept[1]["fieldsV1"] == {
        "f:spec": {"f:paused": {}},
        "f:metadata": {"f:labels": {"f:a": {}}},
    }


def test_an_entry_that_is_left_with_nothing_goes() -> None:
    fields: dict[str, Any] = {"f:data": {".": {}, "f:a": {}}}
    assert without_shared(
        [ours({"f:data": {"f:a": {}}}), entry("helm", fields)], "gateway-bot"
    ) == [ours({"f:data": {"f:a": {}}})]


def test_what_controllers_write_through_a_subresource_stays() -> None:
    status = entry("kube-controller-manager", {"f:status": {}}, subresource="status")
    managed = [ours({"f:status": {}}), status]
    assert without_shared(managed, "gateway-bot") == managed


def test_without_an_apply_of_the_bots_nothing_changes() -> None:
    managed = [entry("kubectl", {"f:spec": {"f:replicas": {}}})]
    assert without_shared(managed, "gateway-bot") == managed
