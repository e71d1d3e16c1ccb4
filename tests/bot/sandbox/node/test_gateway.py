"""The gateway stand-in: what it logs, answers and survives."""

import asyncio
import json
import re

from tests.support.node_bed import Bed, eventually, gateway_container, on_bed
from tests.support.tiny_configuration import TOKEN

STATUS = "/status-0123456789abcdef"
DEBUG = {"telemetry.logs.std.level": "debug"}


@on_bed()
async def test_polls_and_heartbeats_carry_the_token(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    await eventually(lambda: bed.configuration.heartbeats, "a heartbeat")
    assert set(bed.configuration.polls) == {TOKEN}
    assert bed.configuration.heartbeats[0] == "edge-1-a"


@on_bed()
async def test_successful_polls_show_at_debug_level_only(bed: Bed) -> None:
    bed.run("quiet", gateway_container())
    bed.run("loud", gateway_container(settings=DEBUG))
    log = await bed.until_logged("NoNewEvents", "loud")
    assert re.search(
        r"\[Verbose\] \S+Z \[GettingEventsFromApi\], message: uri: https://contoso\.configuration"
        r"\.azure-api\.net/gateways/edge-1/events\?\$top=100&\$skiptoken=, dataset-id: \w+, "
        r"request-id: [0-9a-f-]{36}, source: ConfigurationApiClient",
        log,
    )
    await bed.until_ready("quiet")
    assert "Verbose" not in await bed.logs("quiet")
    assert "LocalBackupLocationNotFound" in await bed.logs("quiet")


@on_bed()
async def test_an_expired_token_keeps_the_pod_running_and_logs_the_warning(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.configuration.status = 401
    log = await bed.until_logged("ConfigurationApiV2NotAvailable")
    line = next(text for text in log.splitlines() if "ConfigurationApiV2NotAvailable" in text)
    assert line.startswith("[Warning] ")
    assert "Gateway.Configuration.Client.ApiException: StatusCode: Unauthorized" in line
    assert bed.ready()
    assert bed.container()["restartCount"] == 0
    assert (await bed.get("/echo/x"))[0] == 200
    assert TOKEN.split("&")[-1] not in log


@on_bed()
async def test_without_configuration_the_status_path_answers_503(bed: Bed) -> None:
    bed.configuration.status = 403
    bed.run()
    await bed.until_logged("StatusCode: Forbidden")
    assert (await bed.get(STATUS))[0] == 503
    assert (await bed.get("/internal" + STATUS.replace("/", "-")))[0] == 503
    assert not bed.ready()
    bed.configuration.status = 200
    await bed.until_ready()
    assert (await bed.get(STATUS))[0] == 200


@on_bed()
async def test_a_configuration_backup_brings_a_cut_off_gateway_up(bed: Bed) -> None:
    claim = {"metadata": {"name": "backup", "namespace": "dev"}, "status": {"phase": "Bound"}}
    bed.api.put("/api/v1/namespaces/dev/persistentvolumeclaims/backup", claim)
    volumes = [{"name": "config", "persistentVolumeClaim": {"claimName": "backup"}}]
    mounts = [{"name": "config", "mountPath": "/apim/config"}]
    bed.run("first", gateway_container(volumeMounts=mounts), volumes=volumes)
    await bed.until_ready("first")
    bed.configuration.status = 503
    bed.run("second", gateway_container(volumeMounts=mounts), volumes=volumes)
    bed.run("bare", gateway_container())
    await bed.until_ready("second")
    await bed.until_logged("StatusCode: ServiceUnavailable", "bare")
    assert not bed.ready("bare")
    assert "LocalBackupLocationNotFound" not in await bed.logs("second")


@on_bed(hosts={})
async def test_a_host_that_does_not_resolve_is_logged(bed: Bed) -> None:
    bed.run()
    log = await bed.until_logged("ErrorResolvingHostname")
    assert "[Error]" in log
    assert "ConfigurationApiV2NotAvailable" in await bed.until_logged("Name or service not known")


@on_bed()
async def test_a_lost_link_shows_as_timeouts_until_it_is_back(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.node.faults.set("link_lost", True)
    await bed.until_logged("HttpClient.Timeout of 100 seconds elapsing")
    polls = len(bed.configuration.polls)
    bed.node.faults.set("link_lost", False)
    await eventually(lambda: len(bed.configuration.polls) > polls, "polls again")
    assert bed.ready()


@on_bed()
async def test_missing_authentication_is_a_startup_error(bed: Bed) -> None:
    container = gateway_container()
    container["env"] = [e for e in container["env"] if e["name"] != "config.service.auth"]
    bed.run("edge-1-a", container)
    log = await bed.until_logged("[GatewayStartup]")
    assert "No valid authentication was configured for the configuration API" in log
    assert bed.configuration.polls == []


@on_bed()
async def test_workload_identity_without_its_webhook_is_unavailable(bed: Bed) -> None:
    container = gateway_container(settings={"gateway.name": "edge-1"})
    container["env"][0] = {"name": "config.service.auth", "value": "workloadIdentity"}
    bed.run("edge-1-a", container)
    await bed.until_logged("WorkloadIdentityCredential authentication unavailable")


@on_bed()
async def test_an_entra_app_polls_with_a_bearer_token(bed: Bed) -> None:
    name = "config.service.auth.azureAd"
    settings = {"gateway.name": "edge-1", f"{name}.tenantId": "t", f"{name}.clientId": "c"}
    for pod, secret in (("good", "right"), ("bad", "wrong")):
        container = gateway_container(settings={**settings, f"{name}.clientSecret": secret})
        container["env"][0] = {"name": "config.service.auth", "value": "azureAdApp"}
        bed.run(pod, container)
    await bed.until_ready("good")
    assert bed.configuration.polls[0] == "Bearer entra"
    log = await bed.until_logged("Azure.Identity.AuthenticationFailedException", "bad")
    assert "wrong" not in log


@on_bed()
async def test_json_logs_are_broken_up_to_2_8_and_valid_from_2_9(bed: Bed) -> None:
    settings = {**DEBUG, "telemetry.logs.std": "json"}
    bed.run("old", gateway_container("2.8.1", settings=settings))
    bed.run("new", gateway_container("2.9.0", settings=settings))
    old = (await bed.until_logged("NoNewEvents", "old")).splitlines()
    new = (await bed.until_logged("NoNewEvents", "new")).splitlines()
    assert re.match(r'{"level":"\w+","timestamp":"\S+Z"","eventType":', old[0])
    first = json.loads(new[0])
    assert {"level", "timestamp", "eventType"} <= first.keys()


@on_bed()
async def test_text_logs_are_coloured_unless_told_otherwise_and_none_is_silent(bed: Bed) -> None:
    bed.run("plain", gateway_container())
    bed.run("colour", gateway_container(settings={"telemetry.logs.std.color": "true"}))
    bed.run("silent", gateway_container(settings={"telemetry.logs.std": "none"}))
    assert "\x1b[" in await bed.until_logged("HostStarted", "colour")
    assert "\x1b[" not in await bed.until_logged("HostStarted", "plain")
    await bed.until_ready("silent")
    assert await bed.logs("silent") == ""


@on_bed()
async def test_apis_of_the_configuration_are_answered_and_others_are_not(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    status, body = await bed.get("/echo/resource?x=1")
    assert status == 200
    assert json.loads(body)["url"] == "/echo/resource?x=1"
    status, body = await bed.get("/nowhere")
    assert (status, json.loads(body)) == (404, {"statusCode": 404, "message": "Resource not found"})
    assert "[GatewayLogs], isRequestSuccess: False" in await bed.until_logged("/nowhere")


@on_bed()
async def test_requests_under_way_are_finished_before_the_pod_goes(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.node.faults.set("frozen", True)
    request = asyncio.create_task(bed.get("/echo/slow"))
    bed.api.delete_pod("edge-1-a", grace=60)
    await eventually(lambda: "Killing" in bed.reasons(), "the stop")
    bed.node.faults.set("frozen", False)
    assert (await request)[0] == 200
    await eventually(lambda: bed.api.get_pod("edge-1-a") is None, "the removal")
