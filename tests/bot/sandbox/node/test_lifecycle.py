"""A pod's life on the node: from pull to deletion, and what a person sees of it."""

from tests.support.node_bed import GATEWAY, Bed, eventually, gateway_container, on_bed


@on_bed()
async def test_a_gateway_becomes_ready_and_says_so_in_status_and_events(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    pod = bed.api.get_pod("edge-1-a")
    assert pod is not None
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("127.")
    assert status["qosClass"] == "BestEffort"
    container = bed.container()
    assert container["started"] is True
    assert container["imageID"].startswith(f"{GATEWAY}@sha256:")
    await eventually(lambda: "Started" in bed.reasons(), "the Started event")
    assert [r for r in bed.reasons() if r != "Unhealthy"] == [
        "Pulling",
        "Pulled",
        "Created",
        "Started",
    ]


@on_bed()
async def test_nodes_register_and_renew_their_leases(bed: Bed) -> None:
    node = await eventually(lambda: bed.api.objects.get("/api/v1/nodes/west-node-2"), "the node")
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "zone-2"
    await eventually(
        lambda: node_is_ready(bed, "west-node-2"),
        "the node became ready",
    )
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    assert bed.node.url.endswith(f":{port}")
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/west-node-2"
    await eventually(lambda: bed.api.objects.get(lease), "the lease")


def node_is_ready(bed: Bed, name: str) -> bool:
    status = bed.api.objects[f"/api/v1/nodes/{name}"]["status"]
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or []
    )


@on_bed()
async def test_pods_of_other_nodes_are_left_alone(bed: Bed) -> None:
    bed.run("elsewhere", nodeName="another-node")
    bed.run()
    await bed.until_ready()
    pod = bed.api.get_pod("elsewhere")
    assert pod is not None
    assert pod["status"] == {}


@on_bed(bind=True)
async def test_unscheduled_pods_are_spread_over_the_nodes_when_asked(bed: Bed) -> None:
    for name in ("one", "two"):
        bed.api.pod(name, {"containers": [gateway_container()]})
    await bed.until_ready("one")
    await bed.until_ready("two")
    nodes = {pod["spec"]["nodeName"] for n in ("one", "two") if (pod := bed.api.get_pod(n))}
    assert nodes == {"west-node-1", "west-node-2"}
    assert "Scheduled" in bed.reasons("one")


async def _tags() -> set[str]:
    return {"2.11.1"}


@on_bed(images=_tags)
async def test_a_tag_that_does_not_exist_ends_in_image_pull_back_off(bed: Bed) -> None:
    bed.run("edge-1-a", gateway_container("9.9.9"))
    await eventually(lambda: bed.waiting() == "ErrImagePull", "ErrImagePull")
    await eventually(lambda: bed.waiting() == "ImagePullBackOff", "ImagePullBackOff")
    message = bed.container()["state"]["waiting"]["message"]
    assert message.startswith(f'Back-off pulling image "{GATEWAY}:9.9.9": ErrImagePull: rpc error')
    assert message.endswith(f"{GATEWAY}:9.9.9: not found")
    pod = bed.api.get_pod("edge-1-a")
    assert pod is not None
    assert pod["status"]["phase"] == "Pending"
    # Between two attempts it is ImagePullBackOff, for a moment ErrImagePull.
    log = await bed.until_logged("waiting to start: ImagePullBackOff")
    assert log == 'container "gateway" in pod "edge-1-a" is waiting to start: ImagePullBackOff'


@on_bed(registry_url="http://127.0.0.1:9")
async def test_a_registry_that_is_away_fails_the_pull(bed: Bed) -> None:
    bed.run()
    await eventually(lambda: bed.waiting() == "ImagePullBackOff", "ImagePullBackOff")
    assert "failed to do request" in bed.container()["state"]["waiting"]["message"]


@on_bed()
async def test_a_missing_secret_is_named_and_its_creation_heals_the_pod(bed: Bed) -> None:
    del bed.api.objects["/api/v1/namespaces/dev/secrets/edge-1-token"]
    bed.run()
    await eventually(lambda: bed.waiting() == "CreateContainerConfigError", "the config error")
    message = bed.container()["state"]["waiting"]["message"]
    assert message == 'secret "edge-1-token" not found'
    await eventually(
        lambda: any(
            e["message"] == f"Error: {message}" and e["count"] > 1
            for e in bed.api.events("edge-1-a")
        ),
        "the repeated event has a count",
    )
    bed.add_token()
    await bed.until_ready()


@on_bed()
async def test_a_claim_that_is_not_bound_keeps_the_pod_pending(bed: Bed) -> None:
    claim = {"metadata": {"name": "backup", "namespace": "dev"}, "status": {"phase": "Pending"}}
    path = "/api/v1/namespaces/dev/persistentvolumeclaims/backup"
    bed.api.put(path, claim)
    volume = {"name": "config", "persistentVolumeClaim": {"claimName": "backup"}}
    bed.run(volumes=[volume])
    await eventually(lambda: "FailedMount" in bed.reasons(), "the FailedMount event")
    await eventually(lambda: bed.waiting() == "ContainerCreating", "the pod to wait")
    bed.api.put(path, {**claim, "status": {"phase": "Bound"}})
    await bed.until_ready()


@on_bed()
async def test_a_crashing_container_backs_off_and_keeps_its_previous_log(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.node.faults.set("crash_loop", "all")
    await eventually(lambda: bed.waiting() == "CrashLoopBackOff", "CrashLoopBackOff")
    assert bed.container()["lastState"]["terminated"]["exitCode"] == 134
    assert not bed.ready()
    await eventually(lambda: "BackOff" in bed.reasons(), "the BackOff event")
    bed.node.faults.set("crash_loop", "none")
    await bed.until_ready()
    assert bed.container()["restartCount"] >= 1
    assert "Unhandled exception" in await bed.logs(previous="true")
    assert "Unhandled exception" not in await bed.logs()


@on_bed()
async def test_a_container_out_of_memory_says_oom_killed(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.node.faults.set("oom", True)
    terminated = await eventually(
        lambda: (bed.container().get("lastState") or {}).get("terminated"), "the restart"
    )
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)


@on_bed()
async def test_a_frozen_gateway_is_found_by_its_liveness_probe(bed: Bed) -> None:
    probe = gateway_container()["readinessProbe"]
    bed.run("edge-1-a", gateway_container(livenessProbe=probe), terminationGracePeriodSeconds=1)
    await bed.until_ready()
    bed.node.faults.set("frozen", True)
    await eventually(lambda: "Killing" in bed.reasons(), "the kill")

    def messages() -> list[str]:
        return [event["message"] for event in bed.api.events("edge-1-a")]

    assert "Container gateway failed liveness probe, will be restarted" in messages()
    await eventually(
        lambda: any(
            "Liveness probe failed: Get" in m and "deadline exceeded" in m for m in messages()
        ),
        "why it failed",
    )
    bed.node.faults.set("frozen", False)
    await eventually(lambda: bed.container()["restartCount"] > 0, "the restart")
    await bed.until_ready()


@on_bed()
async def test_a_slow_start_fails_the_startup_probe_and_restarts(bed: Bed) -> None:
    bed.node.faults.set("slow_start_seconds", 60.0)
    probe = {**gateway_container()["readinessProbe"], "periodSeconds": 5, "failureThreshold": 3}
    bed.run("edge-1-a", gateway_container(startupProbe=probe), terminationGracePeriodSeconds=1)
    await eventually(lambda: bed.container().get("restartCount", 0) > 0, "the restart")
    assert bed.container()["started"] is False
    bed.node.faults.set("slow_start_seconds", 0.0)
    await bed.until_ready()


@on_bed()
async def test_deletion_drains_and_then_removes_the_pod(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.api.delete_pod("edge-1-a")
    await eventually(lambda: bed.api.get_pod("edge-1-a") is None, "the removal")
    assert bed.api.calls.count("DELETE /api/v1/namespaces/dev/pods/edge-1-a") == 1
    # Nothing waits for an event to be written.
    await eventually(lambda: "Killing" in bed.reasons(), "the Killing event")
    killing = [e["message"] for e in bed.api.events("edge-1-a") if e["reason"] == "Killing"]
    assert killing == ["Stopping container gateway"]


@on_bed()
async def test_a_pod_that_never_started_can_be_deleted(bed: Bed) -> None:
    bed.node.faults.set("image_pull_fails", True)
    bed.run()
    await eventually(lambda: bed.waiting() == "ImagePullBackOff", "ImagePullBackOff")
    bed.api.delete_pod("edge-1-a")
    await eventually(lambda: bed.api.get_pod("edge-1-a") is None, "the removal")


@on_bed()
async def test_an_outage_of_the_api_server_is_survived(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.api.cut()
    bed.node.faults.set("not_ready", True)
    refused = len(bed.api.calls)
    await eventually(lambda: len(bed.api.calls) > refused + 2, "calls that are refused")
    assert (await bed.get("/status-0123456789abcdef"))[0] == 503
    assert bed.ready()
    bed.run("edge-1-b")
    bed.api.refuse = False
    bed.api.expire_watches = True
    await eventually(lambda: not bed.ready(), "the late status")
    bed.node.faults.set("not_ready", False)
    await bed.until_ready()
    await bed.until_ready("edge-1-b")


@on_bed()
async def test_other_images_run_and_are_ready_at_once(bed: Bed) -> None:
    init = {"name": "prepare", "image": "busybox:1"}
    bed.run("tool", {"name": "tool", "image": "busybox:1"}, initContainers=[init])
    await bed.until_ready("tool")
    assert await bed.logs("tool", "tool") == "busybox:1 started\n"
    pod = bed.api.get_pod("tool")
    assert pod is not None
    terminated = pod["status"]["initContainerStatuses"][0]["state"]["terminated"]
    assert terminated["reason"] == "Completed"


@on_bed()
async def test_a_restart_of_the_node_with_its_snapshot_leaves_containers_running(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    before = bed.container()
    log = await bed.logs()
    snapshot = bed.node.snapshot()
    await bed.node.stop()
    bed.add_token("GatewayKey edge-1&203101010000&bmV3")
    bed.configuration.polls.clear()
    bed.node = bed.new_node()
    bed.node.restore(snapshot)
    await bed.node.start()
    await eventually(lambda: bed.configuration.polls, "a poll")
    assert "203001010000" in bed.configuration.polls[0]
    assert bed.container() == before
    assert (await bed.logs()).startswith(log)


@on_bed()
async def test_a_node_that_is_stopped_and_started_goes_on(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    before = bed.container()
    await bed.node.stop()
    await bed.node.start()
    polls = len(bed.configuration.polls)
    await eventually(lambda: len(bed.configuration.polls) > polls, "polls again")
    assert bed.container() == before
    bed.api.delete_pod("edge-1-a")
    await eventually(lambda: bed.node.snapshot()["containers"] == {}, "the container forgotten")


@on_bed()
async def test_a_restart_without_a_snapshot_is_a_reboot(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    await bed.node.stop()
    bed.node = bed.new_node()
    await bed.node.start()
    await eventually(lambda: bed.container()["restartCount"] == 1, "the restart")
    await bed.until_ready()
    assert bed.container()["lastState"]["terminated"]["reason"] == "Unknown"
