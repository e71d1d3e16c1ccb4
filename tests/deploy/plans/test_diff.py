from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.plans.diff import field_changes, is_made
from deploy.plans.plan import ObjectChange

_NAMES = st.sampled_from(["a", "b", "ab", "a.b", "labels", "annotations"])
_LEAVES = st.none() | st.integers(0, 2) | st.sampled_from(["x", "y"])
_ENTRIES = st.fixed_dictionaries({"name": _NAMES}, optional={"value": _LEAVES})
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.dictionaries(_NAMES, inner, max_size=3)
        | st.lists(inner, max_size=2)
        | st.lists(_ENTRIES, max_size=3)
    ),
    max_leaves=8,
)
_OBJECTS = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": st.just("edge-1")}), "spec": _VALUES}
)


@given(live=_OBJECTS, wanted=_OBJECTS)
def test_a_change_is_made_once_its_fields_are_as_they_were_to_be(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    fields = field_changes("Service", live, wanted)
    change = ObjectChange("Service", "edge-1", "update", fields)
    assert is_made(change, wanted)
    assert is_made(change, live) is (not fields)
    assert not is_made(change, None)


def test_what_was_to_be_created_is_made_once_it_is_there_and_what_was_to_go_once_it_is_gone() -> (
    None
):
    live = {"metadata": {"name": "edge-1"}}
    for kind, there in (("create", True), ("delete", False)):
        change = ObjectChange("Service", "edge-1", kind)  # type: ignore[arg-type]
        assert is_made(change, live) is there
        assert is_made(change, None) is not there


def test_what_stands_in_plain_text_is_in_no_plan() -> None:
    signature = "c2lnbmF0dXJlLW9mLWEtdG9rZW4="
    secrets = {
        "config.service.auth": f"GatewayKey edge-1&203012010000&{signature}",
        "config.service.auth.key": "something-of-an-unknown-form",
        "config.service.auth.azureAd.clientSecret": "not-to-be-seen",
        "HTTPS_PROXY": "http://proxy:passw0rd@proxy.example:3128",
    }
    env = [{"name": name, "value": value} for name, value in secrets.items()]
    here: dict[str, Any] = {"metadata": {"name": "edge-1"}, "data": secrets, "env": env}
    gone = {**here, "data": {}, "env": []}
    other = {"config.service.auth": "workloadIdentity"}
    changed = {**here, "data": other, "env": [{"name": n, "value": "x"} for n in secrets]}
    for after in (gone, changed, {"metadata": {"name": "edge-1"}}):
        said = str(
            field_changes("ConfigMap", here, after) + field_changes("ConfigMap", after, here)
        )
        for word in (signature, "unknown-form", "not-to-be-seen", "passw0rd"):
            assert word not in said
    assert "workloadIdentity" in str(field_changes("ConfigMap", here, changed))
