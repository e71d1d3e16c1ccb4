"""`gateway-bot audit`: what is missing from the trail is told from what was changed in it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot import admin
from bot.audit import export, verify
from bot.clients import audit_annotation
from bot.sandbox.valkey import Valkey
from bot.settings import load_all
from deploy.actions.audit import AuditEntry, AuditLog, Sealed, Trail, faults, seal
from deploy.actions.audit_heads import (
    Head,
    annotation_of,
    between,
    gaps,
    head_of,
    merged,
    missing,
    newer,
    parts,
)
from deploy.actions.connection import connect
from deploy.actions.fencing import Fences
from deploy.errors import InvalidInput
from deploy.gateway import DEFAULT_REPOSITORY, GatewayRef
from deploy.kube.cluster import connect as connect_cluster
from tests.bot.test_settings import GOOD
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster

REF = GatewayRef("west", "dev", "edge-1")
OTHER = GatewayRef("west", "prod", "store-7")


@dataclass
class Bed:
    """One Redis, one cluster, and a bot's settings for both."""

    config: Path
    server: Valkey
    running: RunningCluster
    lines: list[str] = field(default_factory=list)

    def log(self) -> AuditLog:
        return AuditLog(connect(self.server.url), emit=self.lines.append)

    def write(self, *subjects: str, ref: GatewayRef = REF, at: float = 1_700_000_000.0) -> None:
        for subject in subjects:
            self.log().append(
                "succeeded", "U1", "", ref=ref, subject=subject, kind="deploy", version=1, at=at
            )

    def run(self, newest: Callable[[], str] | None = None, ref: GatewayRef = REF) -> None:
        """A run takes and leaves the gateway's Lease; the bot's secrets are those of the environment."""
        cluster = connect_cluster("west", kubeconfig=self.running.kubeconfig())
        annotation = audit_annotation(load_all(self.config)[1])
        fences = Fences({"west": cluster}, newest or self.log().newest, annotation)
        fences.take(ref, "AAAAAA", "bot-1", fences.seen(ref) + 1, 30).release()
        cluster.close()

    def lose_redis(self) -> None:
        connect(self.server.url).flushall()


def deployment_of(ref: GatewayRef) -> dict[str, Any]:
    container = {"name": "gateway", "image": f"{DEFAULT_REPOSITORY}:2.11.1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": ref.name}},
            "template": {
                "metadata": {"labels": {"app": ref.name}},
                "spec": {"containers": [container]},
            },
        },
    }


def granted(user: str, namespace: str = "", **resources: str) -> list[dict[str, Any]]:
    """The objects that let a user read resources, each of its API group, in one namespace or all."""
    kind = "Role" if namespace else "ClusterRole"
    there = {"namespace": namespace} if namespace else {}
    name = "-".join(resources)
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]}
        for resource, group in resources.items()
    ]
    api, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, **there}, "rules": rules},
        {
            "apiVersion": api,
            "kind": f"{kind}Binding",
            "metadata": {"name": name, **there},
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev", "prod"), with_kubelet=False) as running:
        running.wait(running.cluster.apply([deployment_of(ref) for ref in (REF, OTHER)]))
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def bed(
    tmp_path: Path, server: Valkey, west: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> Bed:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1")
    monkeypatch.setenv("REDIS_URL", server.url)
    connect(server.url).flushall()
    cluster = connect_cluster("west", kubeconfig=west.kubeconfig())
    cluster.delete("Lease", REF.namespace, f"gateway-bot-{REF.name}")
    cluster.close()
    clusters = [{"name": "west", "kubeconfig": str(west.kubeconfig())}]
    config = tmp_path / "gateway-bot.yaml"
    config.write_text(yaml.safe_dump({**GOOD, "clusters": clusters}))
    return Bed(config, server, west)


def test_bots_with_a_redis_each_are_not_compared_with_one_another(
    bed: Bed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.write("AAAAAA")
    bed.run()
    for variable in ("SLACK_BOT_TOKEN", "GATEWAY_BOT_AUDIT_KEY"):
        with monkeypatch.context() as other:
            other.setenv(variable, "xoxb-of another bot")
            bed.run(lambda: f"70:{'ab' * 32}")
    bed.run()
    assert verify(bed.config) == 0
    bed.lose_redis()
    assert verify(bed.config) == 1
    said = capsys.readouterr().out
    assert "the Lease of west/dev/edge-1 has entry 1" in said
    assert audit_annotation(load_all(bed.config)[1]) in said


def test_a_trail_of_which_everything_was_trimmed_is_not_shorter(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB")
    bed.run()
    AuditLog(connect(bed.server.url), keep_days=-1).trim()
    assert verify(bed.config) == 0
    assert "0 entries, nothing wrong; compared with 1 records" in capsys.readouterr().out


@given(st.binary(min_size=1, max_size=60), st.binary(min_size=1, max_size=60))
def test_a_trail_has_its_own_annotation_which_does_not_tell_the_secret(
    one: bytes, two: bytes
) -> None:
    name = annotation_of(one)
    assert re.fullmatch(r"gateway-bot\.io/[a-z0-9-]{1,62}[a-z0-9]", name)
    assert (name == annotation_of(two)) == (one.rstrip(b"\0") == two.rstrip(b"\0"))


def kept(bed: Bed, name: str, lines: Sequence[str]) -> Path:
    path = bed.config.parent / name
    path.write_text("\n".join(["ready, health at port 8080", *lines]))
    return path


def test_a_whole_trail_is_compared_with_what_the_leases_of_gateways_have(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB")
    bed.run()
    bed.write("CCCCCC")
    assert verify(bed.config) == 0
    said = capsys.readouterr().out
    assert said == "3 entries, nothing wrong; compared with 1 records outside Redis\n"


def test_a_redis_that_was_lost_is_shorter_than_the_log_and_not_changed(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB")
    bed.run()
    bed.lose_redis()
    assert verify(bed.config) == 1
    said = capsys.readouterr().out
    assert "SHORTER  it has no entries, so entries written later are missing" in said
    assert "the Lease of west/dev/edge-1 has entry 2" in said
    assert "CHANGED" not in said
    bed.write("CCCCCC")
    bed.run()
    assert verify(bed.config) == 1
    assert "it ends with entry 1, so entries written later are missing" in capsys.readouterr().out
    bed.write("DDDDDD", "EEEEEE")
    assert verify(bed.config) == 1
    assert "the trail was begun anew, or rewritten" in capsys.readouterr().out


def test_a_trail_that_nothing_was_ever_written_to_says_that_and_not_that_it_is_right(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(bed.config) == 0
    assert capsys.readouterr().out == "0 entries, and nothing outside Redis has recorded any\n"


def test_an_empty_trail_beside_a_cluster_that_cannot_be_read_is_not_called_right(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load(bed.config.read_text())
    settings["clusters"][0]["kubeconfig"] = str(bed.running.kubeconfig("bot"))
    bed.config.write_text(yaml.safe_dump(settings))
    assert verify(bed.config) == 1
    said = capsys.readouterr().out
    assert "UNREAD   cluster west: " in said
    assert "0 entries; some records that could show missing entries could not be read" in said


def test_a_lease_that_cannot_be_read_hides_no_other_of_its_cluster(
    bed: Bed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "limited"
    with RunningCluster(directory, namespaces=("dev", "prod"), with_kubelet=False) as limited:
        rights = granted("bot", deployments="apps")
        rights += granted("bot", "prod", leases="coordination.k8s.io")
        gateways = [deployment_of(ref) for ref in (REF, OTHER)]
        limited.wait(limited.cluster.apply([*gateways, *rights]))
        Bed(bed.config, bed.server, limited).run(lambda: "7:abc", OTHER)
        settings = yaml.safe_load(bed.config.read_text())
        settings["clusters"][0]["kubeconfig"] = str(limited.kubeconfig("bot"))
        bed.config.write_text(yaml.safe_dump(settings))
        assert verify(bed.config) == 1
        said = capsys.readouterr().out
        assert "UNREAD   the Lease of west/dev/edge-1: " in said
        assert "the Lease of west/prod/store-7 has entry 7" in said
        assert admin.leases(bed.config) == 1
        said = capsys.readouterr().out
        assert "UNREAD  the Lease of west/dev/edge-1: " in said
        assert "west/prod/store-7" in said


def test_lines_of_two_replicas_are_one_trail(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.write("AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD")
    one = kept(bed, "one.log", [bed.lines[3], bed.lines[0]])
    two = kept(bed, "two.log", [bed.lines[1], bed.lines[2], bed.lines[2]])
    assert verify(bed.config, [one, two]) == 0
    assert capsys.readouterr().out.startswith("4 entries, nothing wrong")


def test_what_files_lack_and_redis_has_is_not_missing(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD", "EEEEEE")
    path = kept(bed, "one.log", [bed.lines[1], bed.lines[4]])
    assert verify(bed.config, [path]) == 0
    assert capsys.readouterr().out.startswith("4 entries, nothing wrong")


def test_what_files_and_redis_lack_is_missing_and_not_changed(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD", "EEEEEE", "FFFFFF", "GGGGGG")
    lines = [bed.lines[number - 1] for number in (1, 4, 6, 7)]
    bed.lose_redis()
    assert verify(bed.config, [kept(bed, "one.log", lines)]) == 1
    said = capsys.readouterr().out
    assert "MISSING  entries 2–3 are in none of the files" in said
    assert "MISSING  entry 5 is in none of the files" in said
    assert "CHANGED" not in said


def test_a_line_that_was_changed_beside_a_gap_is_found(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD")
    lines = [bed.lines[0], bed.lines[2].replace("CCCCCC", "XXXXXX"), bed.lines[3]]
    assert verify(bed.config, [kept(bed, "one.log", lines)]) == 1
    said = capsys.readouterr().out
    assert "its text does not match its hash" in said
    assert "MISSING" not in said


def test_a_trail_that_was_begun_anew_keeps_its_lines_apart_though_some_are_missing(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB", "CCCCCC")
    bed.lose_redis()
    bed.write("DDDDDD", "EEEEEE", "FFFFFF", at=1_700_000_100.0)
    bed.lose_redis()
    lines = [line for line in bed.lines if "EEEEEE" not in line]
    assert verify(bed.config, [kept(bed, "one.log", lines)]) == 1
    said = capsys.readouterr().out
    assert "MISSING  entry 2 is in none of the files" in said
    assert "CHANGED" not in said


def test_lines_that_go_further_than_redis_say_that_it_is_shorter(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", "BBBBBB")
    bed.lose_redis()
    path = kept(bed, "one.log", bed.lines)
    assert verify(bed.config, [path]) == 1
    assert "SHORTER  it has no entries" in capsys.readouterr().out
    bed.write("CCCCCC", at=1_700_000_100.0)
    path = kept(bed, "both.log", bed.lines)
    assert verify(bed.config, [path]) == 1
    said = capsys.readouterr().out
    assert "the trail was begun anew at 2023-11-14T22:15:00Z, after entry 2" in said
    assert "CHANGED" not in said


def test_entries_are_exported_by_gateway_and_time_and_can_be_verified(
    bed: Bed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.write("AAAAAA", at=1_700_000_000.0)
    bed.write("BBBBBB", ref=OTHER, at=1_700_003_600.0)
    bed.write("CCCCCC", at=1_700_007_200.0)

    def exported(**only: str) -> list[str]:
        assert export(bed.config, **only) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line["audit"]["subject"] for line in lines]

    assert exported() == ["AAAAAA", "BBBBBB", "CCCCCC"]
    assert exported(gateway="edge-1") == ["AAAAAA", "CCCCCC"]
    assert exported(gateway="prod/store-7") == ["BBBBBB"]
    assert exported(gateway="e-1") == []
    assert exported(since="2023-11-14T23:00Z") == ["BBBBBB", "CCCCCC"]
    assert exported(since="2023-11-14T23:00Z", until="2023-11-15T00:00:00+00:00") == ["BBBBBB"]
    assert exported(since="1d") == []
    with pytest.raises(InvalidInput, match="“yesterday” is not a moment"):
        exported(since="yesterday")
    export(bed.config)
    path = kept(bed, "export.jsonl", capsys.readouterr().out.splitlines())
    assert verify(bed.config, [path]) == 0


def chain(length: int, first: str = "") -> list[Sealed]:
    made: list[Sealed] = []
    prev = first
    for n in range(1, length + 1):
        entry = AuditEntry(n, float(n), "pending", "U1", f"A{n}", "deploy", str(REF), "", prev)
        made.append(seal(entry))
        prev = made[-1].hash
    return made


@given(st.integers(1, 20), st.randoms())
def test_lines_in_any_order_and_number_are_one_trail(length: int, random: Random) -> None:
    whole = chain(length)
    lines = [each for each in whole for _ in range(random.randint(1, 3))]
    random.shuffle(lines)
    assert merged(lines) == [whole]
    assert list(faults(whole, start="")) == []


@given(st.integers(2, 20), st.data())
def test_an_entry_that_is_missing_from_the_middle_is_found(
    length: int, data: st.DataObject
) -> None:
    whole = chain(length + 1)
    del whole[data.draw(st.integers(1, length - 1))]
    (found,) = merged(whole)
    assert found == whole
    assert len(list(gaps(found))) == 1
    assert [list(faults(part, start=None)) for part in parts(found)] == [[], []]


@given(st.integers(1, 20), st.data())
def test_gaps_are_filled_with_what_is_stored_between_lines_alone(
    length: int, data: st.DataObject
) -> None:
    whole = chain(length)
    lines = data.draw(st.lists(st.sampled_from(whole), min_size=1, unique=True))
    trimmed = whole[data.draw(st.integers(0, length)) :]
    (found,) = merged([*lines, *between(lines, trimmed)])
    first, last = (whole.index(found[at]) for at in (0, -1))
    assert {first, last} <= {whole.index(each) for each in lines}
    assert set(found) == {
        each for each in whole[first : last + 1] if each in lines or each in trimmed
    }
    other = chain(length, "another")
    assert between(lines, other) == []


def trail_of(entries: Sequence[Sealed], trimmed: int = 0) -> Trail:
    head = head_of(entries) or Head(0, "")
    return Trail(tuple(entries[trimmed:]), n=head.n, end=head.hash)


@given(st.integers(1, 10), st.data())
def test_what_was_trimmed_is_not_missing(length: int, data: st.DataObject) -> None:
    whole = chain(length)
    trail = trail_of(whole, data.draw(st.integers(0, length)))
    known = data.draw(st.integers(1, length))
    assert list(missing(trail, {"the Lease": Head(known, whole[known - 1].hash)})) == []
    assert bool(list(missing(trail, {"the Lease": Head(length, "another")})))
    assert bool(list(missing(trail, {"the Lease": Head(length + 1, "another")})))


@given(st.integers(0, 10), st.integers(1, 10))
def test_only_what_is_shorter_or_another_trail_is_reported(there: int, written: int) -> None:
    whole = chain(written)
    head = head_of(whole)
    assert head == Head(written, whole[-1].hash)
    assert Head.parse(str(head)) == head
    said = list(
        missing(
            trail_of(chain(max(there, written))[:there]),
            {"the Lease": Head(written, whole[-1].hash)},
        )
    )
    assert bool(said) == (there < written)


@given(st.text(max_size=20), st.integers(1, 99), st.integers(1, 99))
def test_a_note_is_replaced_by_a_further_one_alone(junk: str, before: int, now: int) -> None:
    assert newer(junk, f"{now}:b") == (
        f"{now}:b" if Head.parse(junk) is None else newer(junk, f"{now}:b")
    )
    assert newer(f"{before}:a", f"{now}:b") == (f"{before}:a" if before > now else f"{now}:b")
    assert newer(f"{before}:a", "") == f"{before}:a"
