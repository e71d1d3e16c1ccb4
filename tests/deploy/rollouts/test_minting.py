"""Tokens minted into Secrets: whose clock counts, and what is not taken."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.errors import Conflict, NotFound, Refused, Unavailable
from deploy.kube.cluster import Cluster, connect
from deploy.kube.objects import Manifest
from deploy.observed.token_facts import secret_facts
from deploy.rollouts.minting import Minter
from deploy.tokens.token import Token, new_token
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCE, REF, SIGNATURE, SPEC, TIMEOUTS
from tests.support.running_cluster import RunningCluster

HOUR = datetime.timedelta(hours=1)
PLAN = new_token(SPEC, "ABC234", "", key="secondary", lifetime=datetime.timedelta(days=20))


class Azure:
    """Mints; `clock` is how far its clock is ahead of this machine's, `off` how far a token's."""

    def __init__(self, clock: datetime.timedelta, off: datetime.timedelta) -> None:
        self.clock, self.off = clock, off
        self.keys: list[Any] = []

    def time(self, *_: object) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + self.clock

    def generate_token(
        self, instance: object, gateway: str, key: Any, expires_at: datetime.datetime
    ) -> Token:
        self.keys.append(key)
        expiry = expires_at + self.off
        return Token(gateway, expiry, f"{gateway}&{expiry:%Y%m%d%H%M}&{SIGNATURE}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as running:
        found = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
        yield found
        found.close()


@pytest.fixture(autouse=True)
def empty(cluster: Cluster) -> None:
    for secret in cluster.list("Secret", "dev"):
        cluster.delete("Secret", "dev", secret["metadata"]["name"])


def minted(cluster: Cluster, azure: Azure) -> datetime.datetime:
    Minter(azure, {"contoso": INSTANCE}, LocalCustody()).ensure(cluster, SPEC, PLAN, "ABC234")
    secret = cluster.get("Secret", REF.namespace, "edge-1-token-abc234")
    assert secret is not None
    facts = secret_facts(secret)
    assert facts.key == "secondary"
    assert facts.expires_at is not None
    return facts.expires_at


@pytest.mark.parametrize("clock", [-HOUR, 0 * HOUR, HOUR], ids=["behind", "right", "ahead"])
def test_a_lifetime_counts_from_azures_clock_when_this_machines_is_wrong(
    cluster: Cluster, clock: datetime.timedelta
) -> None:
    now = datetime.datetime.now(datetime.UTC) + clock
    wanted = now + datetime.timedelta(days=20)
    assert abs(minted(cluster, Azure(clock, 0 * HOUR)) - wanted) <= datetime.timedelta(minutes=1)


def test_a_token_is_minted_once_however_often_it_is_asked_for(cluster: Cluster) -> None:
    azure = Azure(0 * HOUR, 0 * HOUR)
    first = minted(cluster, azure)
    assert minted(cluster, azure) == first
    assert azure.keys == ["secondary"]


def test_a_token_that_expires_at_another_time_than_asked_for_is_thrown_away(
    cluster: Cluster,
) -> None:
    with pytest.raises(Conflict, match=r"expires .* instead of .* requested"):
        minted(cluster, Azure(0 * HOUR, -HOUR))
    assert cluster.list("Secret", "dev") == []


def test_an_instance_that_the_settings_no_longer_name_is_said(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match="no longer in the settings"):
        Minter(Azure(0 * HOUR, 0 * HOUR), {}, LocalCustody()).ensure(cluster, SPEC, PLAN, "ABC234")


@pytest.mark.parametrize("untouched", [True, False])
def test_an_answer_that_is_lost_leaves_it_open_whether_the_secret_was_made(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, untouched: bool
) -> None:
    def lost(_: Cluster, manifest: Manifest) -> Manifest:
        raise Unavailable("Cluster “west” does not answer.", untouched=untouched)

    monkeypatch.setattr(Cluster, "create", lost)
    told: list[bool] = []
    minter = Minter(Azure(0 * HOUR, 0 * HOUR), {"contoso": INSTANCE}, LocalCustody())
    with pytest.raises(Unavailable):
        minter.ensure(cluster, SPEC, PLAN, "ABC234", lambda: told.append(True))
    assert told == ([] if untouched else [True])


def test_a_token_is_minted_while_its_gateway_is_held_and_is_on_record_before_and_after(
    cluster: Cluster,
) -> None:
    custody = LocalCustody()
    minter = Minter(Azure(0 * HOUR, 0 * HOUR), {"contoso": INSTANCE}, custody)

    def check() -> frozenset[str]:
        custody.log.append("checked")
        return frozenset({"development"})

    minter.ensure(cluster, SPEC, PLAN, "ABC234", check=check)
    assert custody.log == [
        "held edge-1",
        "checked",
        "recorded west/dev/edge-1",
        "kept",
        "admitted edge-1-token-abc234",
        "let go",
    ]
    minter.ensure(cluster, SPEC, PLAN, "ABC234", check=lambda: pytest.fail("it is admitted"))
    secret = cluster.get("Secret", REF.namespace, "edge-1-token-abc234")
    assert secret is not None
    (token,) = custody.admitted
    assert (token.ref, token.secret_uid) == (REF, secret["metadata"]["uid"])


def test_azure_is_not_asked_where_more_is_required_by_now(cluster: Cluster) -> None:
    def refuse() -> frozenset[str]:
        raise Refused("Production governs it by now.")

    azure, custody = Azure(0 * HOUR, 0 * HOUR), LocalCustody()
    minter = Minter(azure, {"contoso": INSTANCE}, custody)
    with pytest.raises(Refused):
        minter.ensure(cluster, SPEC, PLAN, "ABC234", check=refuse)
    assert azure.keys == []
    assert custody.log == ["held edge-1", "let go"]


def test_a_secret_that_is_there_and_was_not_admitted_is_checked_before_it_is(
    cluster: Cluster,
) -> None:
    """An earlier attempt may have died in between, or somebody else may have made the Secret."""
    azure = Azure(0 * HOUR, 0 * HOUR)
    minted(cluster, azure)
    custody = LocalCustody()
    minter = Minter(azure, {"contoso": INSTANCE}, custody)
    minter.ensure(cluster, SPEC, PLAN, "ABC234", check=lambda: frozenset({"development"}))
    ((_, decided_by),) = custody.admitted.values()
    assert decided_by == {"development"}
    assert azure.keys == ["secondary"], "the token that is there is used"
    assert custody.log[-2:] == ["admitted edge-1-token-abc234", "let go"]
