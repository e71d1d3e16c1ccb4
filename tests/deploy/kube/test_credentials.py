"""Credentials that others give and that end: of plugins, in files, for somebody else."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from kubernetes.config import incluster_config

from bot.sandbox.cluster import Identity
from deploy.errors import GatewayBotError, NotGranted, Unavailable
from deploy.kube import credentials
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from tests.support.exec_plugins import HANG, Answer, Issuer, after, credential
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

ADMIN = Identity("admin", ("system:masters",))
ONCE = Timeouts(repeat=0.0)
"""Nothing is repeated by itself."""
THREADS = 16
LONG = 3600.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path_factory.mktemp("west"), with_kubelet=False) as cluster:
        yield cluster


class Desk:
    """Gives out tokens of the administrator that the cluster accepts."""

    def __init__(self, running: RunningCluster) -> None:
        self._running = running

    def admit(self, token: str, seconds: float = LONG, who: Identity = ADMIN) -> str:
        """The token, accepted for so long from now."""
        self._running.call(lambda: self._running.cluster.admit(token, who, seconds))
        return token

    def revoke(self, token: str) -> None:
        """From now on it is answered with 401."""
        self.admit(token, -1)


@pytest.fixture
def desk(running: RunningCluster) -> Desk:
    return Desk(running)


@pytest.fixture
def connected(running: RunningCluster, tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def to(user: dict[str, Any], name: str = "west", timeouts: Timeouts | None = None) -> Cluster:
        path = running.kubeconfig_of(user, f"kubeconfig-{tmp_path.name}-{len(made)}")
        made.append(connect(name, kubeconfig=path, timeouts=timeouts))
        return made[-1]

    yield to
    for cluster in made:
        cluster.close()


Connected = Callable[..., Cluster]


def at_once(work: Callable[[], object], threads: int = THREADS) -> None:
    """On so many threads, which begin together; the first error of any is raised."""
    barrier = threading.Barrier(threads)

    def begin(_: int) -> None:
        barrier.wait(60)
        work()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(begin, range(threads)))


def test_a_plugin_runs_once_for_sixteen_threads_whose_token_is_refused(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    with Issuer(
        tmp_path, lambda run: credential({"token": desk.admit(f"revoked-{run}")})
    ) as issuer:
        cluster = connected(issuer.user())
        cluster.namespaces()
        desk.revoke("revoked-1")
        at_once(cluster.namespaces)
        assert len(issuer.runs) == 2


def test_a_plugin_that_fails_once_at_the_start_heals(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    def answers(run: int) -> Answer:
        if run == 1:
            return Answer(stderr="\nno such host: login.example\nat line 7\n", status=3)
        return credential({"token": desk.admit("healed")})

    with Issuer(tmp_path, answers) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        with pytest.raises(Unavailable) as failed:
            cluster.namespaces()
        assert failed.value.happened == (
            f"The plugin “{issuer.program.name}” of cluster “west” failed: "
            "no such host: login.example."
        )
        assert "exit status is 3" in failed.value.meaning
        assert failed.value.untouched
        until(lambda: succeeds(cluster), "an answer")
        assert len(issuer.runs) == 2


def succeeds(cluster: Cluster) -> bool:
    try:
        cluster.namespaces()
    except Unavailable:
        return False
    return True


def test_a_plugin_that_fails_is_not_run_for_each_who_asks(
    connected: Connected, tmp_path: Path
) -> None:
    with Issuer(tmp_path, lambda _: Answer(stderr="away", status=1)) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(Unavailable, match="failed: away"):
                cluster.namespaces()
        # The pauses are 1, 2, 4, 8, 10, 10, … seconds.
        assert len(issuer.runs) <= 2 + time.monotonic() - began


def test_a_plugin_that_hangs_takes_nobody_longer_than_its_bound_and_no_other_cluster(
    desk: Desk, connected: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_WAIT_SECONDS", 0.3)
    with Issuer(tmp_path, lambda _: HANG) as issuer:
        hanging = connected(issuer.user(), timeouts=ONCE)
        other = connected({"token": desk.admit("other")}, name="east")
        with pytest.raises(Unavailable, match="has not ended after") as given_up:
            hanging.namespaces()
        assert given_up.value.untouched
        assert other.namespaces()
        until(lambda: len(issuer.runs) == 1, "the run")


def test_of_a_plugin_that_hangs_another_run_is_begun_and_waited_for(
    desk: Desk, connected: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_HUNG_SECONDS", 0.2)
    monkeypatch.setattr(credentials, "_WAIT_SECONDS", 60.0)

    def answers(run: int) -> Answer | None:
        return HANG if run == 1 else credential({"token": desk.admit("second")})

    with Issuer(tmp_path, answers) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        at_once(cluster.namespaces)
        assert len(issuer.runs) >= 2


def test_a_plugin_that_hangs_ends_with_the_connection(
    connected: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_WAIT_SECONDS", 0.1)
    with Issuer(tmp_path, lambda _: HANG) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        with pytest.raises(Unavailable):
            cluster.namespaces()
        pid = until(lambda: issuer.runs[0]["pid"], "the run")
        cluster.close()
        until(lambda: not runs(pid), "its end")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_401_is_unavailable_while_the_plugin_cannot_renew(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    def answers(run: int) -> Answer:
        if run == 2:
            return Answer(stderr="sign-in is away", status=1)
        return credential({"token": desk.admit(f"renewed-{run}")})

    with Issuer(tmp_path, answers) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        cluster.namespaces()
        desk.revoke("renewed-1")
        with pytest.raises(Unavailable, match="failed: sign-in is away"):
            cluster.namespaces()
        until(lambda: succeeds(cluster), "an answer")
        assert len(issuer.runs) == 3


def test_a_401_is_a_refusal_once_what_was_renewed_is_refused_too(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    with Issuer(tmp_path, lambda run: credential({"token": f"unknown-{run}"})) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        with pytest.raises(NotGranted) as refused:
            cluster.namespaces()
        assert "rejected the bot's credentials" in refused.value.happened
        assert f"the plugin “{issuer.program.name}” of cluster “west”" in refused.value.meaning
        assert len(issuer.runs) == 2
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(NotGranted):
                cluster.namespaces()
        assert len(issuer.runs) <= 2 + (time.monotonic() - began) / 10 + 1


def test_a_write_is_guarded_anew_before_it_is_sent_with_other_credentials(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    checks: list[float] = []
    with Issuer(
        tmp_path, lambda run: credential({"token": desk.admit(f"writing-{run}")})
    ) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        cluster.namespaces()
        desk.revoke("writing-1")
        guarded = cluster.guarded(lambda: checks.append(time.monotonic()))
        guarded.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "written", "namespace": "gw"},
                "data": {"a": "1"},
            }
        )
        assert len(checks) == 2


def test_a_write_is_guarded_after_its_credentials_were_waited_for(
    connected: Connected, tmp_path: Path
) -> None:
    checks: list[float] = []
    with Issuer(tmp_path, lambda _: Answer(stderr="away", status=1)) as issuer:
        cluster = connected(issuer.user(), timeouts=ONCE)
        with pytest.raises(Unavailable, match="failed: away"):
            cluster.guarded(lambda: checks.append(1.0)).delete("ConfigMap", "gw", "c")
    assert not checks


def test_a_client_certificate_of_a_plugin_is_renewed(
    running: RunningCluster, connected: Connected, tmp_path: Path
) -> None:
    lives = [2.0, LONG]

    def answers(run: int) -> Answer:
        certificate, key = running.authority.client_pair(
            "ann", ["system:masters"], lives[min(run, 2) - 1]
        )
        return credential({"clientCertificateData": certificate, "clientKeyData": key})

    with Issuer(tmp_path, answers) as issuer:
        cluster = connected(issuer.user())
        until(lambda: cluster.namespaces() and len(issuer.runs) == 2, "a second run")
        at_once(cluster.namespaces)
        assert len(issuer.runs) == 2


def test_the_work_of_many_lifetimes_goes_through_a_plugin_that_fails_and_hangs(
    running: RunningCluster,
    desk: Desk,
    connected: Connected,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials, "_HUNG_SECONDS", 1.0)
    monkeypatch.setattr(credentials, "_WAIT_SECONDS", 60.0)
    lives = 3.0

    def troubled(usual: Callable[[int], Answer]) -> Callable[[int], Answer | None]:
        def answers(run: int) -> Answer | None:
            if run == 1:
                return Answer(stderr="not yet", status=1)
            return HANG if run == 3 else usual(run)

        return answers

    def token(run: int) -> Answer:
        given = desk.admit(f"work-{run}", lives)
        return credential({"token": given, "expirationTimestamp": after(lives)})

    def certificate(run: int) -> Answer:
        pem, key = running.authority.client_pair("ann", ["system:masters"], lives)
        return credential({"clientCertificateData": pem, "clientKeyData": key})

    tokens, certificates = (
        Issuer(tmp_path, troubled(token)),
        Issuer(tmp_path, troubled(certificate)),
    )
    with tokens, certificates:
        issuers = (tokens, certificates)
        patient = Timeouts(repeat=60.0)
        clusters = [connected(issuer.user(), timeouts=patient) for issuer in issuers]
        began = time.monotonic()

        def enough() -> bool:
            return all(len(issuer.runs) >= 6 for issuer in issuers)

        def work() -> None:
            while not enough():
                for cluster in clusters:
                    cluster.namespaces()
                assert time.monotonic() < began + 120, [len(i.runs) for i in issuers]

        at_once(work, 6)
        took = time.monotonic() - began
        for issuer in issuers:
            # Each serves for half of its life or more; one that is slow is begun anew beside.
            assert len(issuer.runs) <= 8 + 2 * took / (lives / 2)


def test_a_token_file_is_read_again_after_a_refusal(
    desk: Desk, connected: Connected, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(desk.admit("of-a-file-1") + "\n")
    cluster = connected({"tokenFile": str(path)}, timeouts=ONCE)
    cluster.namespaces()
    desk.revoke("of-a-file-1")
    with pytest.raises(NotGranted, match="read its files again"):
        cluster.namespaces()
    path.write_text(desk.admit("of-a-file-2"))
    cluster.namespaces()


def test_a_token_file_is_read_again_in_time_and_while_it_is_gone_the_last_token_counts(
    desk: Desk, connected: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_REREAD_SECONDS", 0.0)
    path = tmp_path / "token"
    cluster = connected({"tokenFile": str(path)}, timeouts=ONCE)
    with pytest.raises(Unavailable, match=f"cannot be read from {path}: No such file"):
        cluster.namespaces()
    path.write_text(desk.admit("first", who=Identity("first")))
    assert who_am_i(cluster)["username"] == "first"
    path.write_text(desk.admit("second", who=Identity("second")))
    assert who_am_i(cluster)["username"] == "second"
    path.unlink()
    assert who_am_i(cluster)["username"] == "second"


def who_am_i(cluster: Cluster) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster._bare.request(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", what="me", body=body
    )
    found: dict[str, Any] = json.loads(answer)["status"]["userInfo"]
    return found


def test_client_certificates_in_files_are_read_again(
    running: RunningCluster, connected: Connected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_REREAD_SECONDS", 0.0)
    paths = [tmp_path / "cert.pem", tmp_path / "key.pem"]

    def write(name: str) -> None:
        for path, text in zip(paths, running.authority.client_pair(name, [], LONG), strict=True):
            path.write_text(text)

    write("first")
    cluster = connected({"client-certificate": str(paths[0]), "client-key": str(paths[1])})
    assert who_am_i(cluster)["username"] == "first"
    # Between the two steps of a rotation certificate and key do not fit each other.
    paths[0].write_text(running.authority.client_pair("torn", [], LONG)[0])
    assert who_am_i(cluster)["username"] == "first"
    write("second")
    assert who_am_i(cluster)["username"] == "second"


def test_the_service_accounts_token_is_read_again(
    running: RunningCluster, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(desk.admit("in-cluster-1"))
    host, port = running.cluster.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(
        incluster_config, "SERVICE_CERT_FILENAME", str(running.authority.ca_pem_path)
    )
    cluster = connect("west", in_cluster=True, timeouts=ONCE)
    cluster.namespaces()
    desk.revoke("in-cluster-1")
    token.write_text(desk.admit("in-cluster-2"))
    cluster.namespaces()
    cluster.close()


def test_the_older_kind_of_plugin_still_gives_its_token(desk: Desk, connected: Connected) -> None:
    token = jwt.encode({"sub": "ann", "exp": int(time.time() + LONG)}, "k" * 32)
    desk.admit(token, who=Identity("ann"))
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}
    assert who_am_i(connected(user))["username"] == "ann"
    with pytest.raises(Unavailable, match="The auth-provider “oidc” of cluster “west” failed"):
        connected({"auth-provider": {"name": "oidc", "config": {}}}, timeouts=ONCE).namespaces()


def test_a_provider_whose_library_is_missing_is_unavailable(connected: Connected) -> None:
    config = {"access-token": "x", "expiry": "2020-01-01T00:00:00Z"}
    user = {"auth-provider": {"name": "gcp", "config": config}}
    with pytest.raises(Unavailable, match="The auth-provider “gcp” of cluster “west” failed"):
        connected(user, timeouts=ONCE).namespaces()


def test_the_bot_acts_as_whom_the_kubeconfig_says(connected: Connected) -> None:
    cluster = connected(
        {
            "token": "admin",
            "as": "ann",
            "as-groups": ["readers", "system:masters"],
            "as-uid": "42",
            "as-user-extra": {"reason.example/Why not": ["one", "two"]},
        }
    )
    found = who_am_i(cluster)
    assert found["username"] == "ann"
    assert {"readers", "system:masters"} <= set(found["groups"])
    assert found["uid"] == "42"
    assert found["extra"] == {"reason.example/why not": ["one", "two"]}


def test_acting_as_somebody_takes_the_right_to(connected: Connected, desk: Desk) -> None:
    user = {"token": desk.admit("bare", who=Identity("bare")), "as": "ann"}
    with pytest.raises(
        GatewayBotError, match=r"is not allowed to impersonate the user .* for cluster “west”"
    ):
        connected(user).namespaces()
