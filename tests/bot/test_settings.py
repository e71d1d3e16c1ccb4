import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.clients import environments_of, governed_by, instances_of, known_repositories, redis_of
from bot.problems import UnusableSettings
from bot.settings import Settings, load_settings
from deploy.azure import known_hosts, resource_of
from deploy.clouds import CLOUDS, PUBLIC
from deploy.errors import InvalidInput
from deploy.health.portal import gateway_link
from deploy.rules import BINDING, Exemption
from tests.support.given_secrets import secrets_of

GOOD: dict[str, Any] = {
    "apim": [
        {"name": "contoso", "subscription": "s", "resource_group": "rg", "service": "contoso"}
    ],
    "clusters": [{"name": "west", "context": "west"}],
    "environments": [{"name": "development"}],
    "redis": {"url": "redis://localhost"},
}

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "SLACK_SIGNING_SECRET": "5ecret",
    "REDIS_URL": "rediss://:secret@localhost",
}


def written(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path))
    assert settings.slack.api_url == "https://slack.com/api/"
    assert settings.clusters[0].name == "west"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"slack": {"mode": "carrier-pigeon"}}, "slack.mode"),
        ({"slack": {"conections": 2}}, "slack.conections"),
        ({"slack": {"http": {"port": 70000}}}, "slack.http.port"),
        ({"clusters": [{"name": "West"}]}, "clusters[0].name"),
        ({"clusters": []}, "clusters"),
        ({"apim": [{"name": "contoso"}]}, "apim[0].subscription"),
        ({"environments": [{"name": "a"}, {"name": "a"}]}, "environments[1].name: the name a"),
        (
            {"clusters": [{"name": "w", "in_cluster": True, "context": "w"}]},
            "in_cluster cannot be combined",
        ),
        ({"clusters": [{"name": "w", "namespaces": []}]}, "clusters[0].namespaces"),
        ({"clusters": [{"name": "w", "namespaces": ["Dev"]}]}, "clusters[0].namespaces[0]"),
        ({"clusters": [{"name": "w", "namespaces": ["prod-*"]}]}, "prod-* is a pattern"),
        ({"clusters": [{"name": "w", "namespaces": ["a", "a"]}]}, "a is listed twice"),
    ],
)
def test_a_mistake_is_told_with_the_path_of_its_field(
    tmp_path: Path, changes: dict[str, object], path: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        load_settings(written(tmp_path, **changes))
    assert path in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://ana:secret-of-ana@registry.example",
        "https://ana:secret-of-ana@registry.example/path",
        "http://secret-of-ana@localhost:5000",
        "https://registry.example?secret-of-ana@other.example",
    ],
)
def test_an_address_of_a_registry_with_a_password_is_refused_and_not_repeated(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(InvalidInput, match=r"images\.registry_url: .*REGISTRY_USER") as error:
        load_settings(written(tmp_path, images={"registry_url": url}))
    assert "secret-of-ana" not in str(error.value)


@pytest.mark.parametrize("url", ["https://registry.example/a@b", "http://[::1]:5000"])
def test_an_address_of_a_registry_may_have_a_path_and_a_port(tmp_path: Path, url: str) -> None:
    settings = load_settings(written(tmp_path, images={"registry_url": url}))
    assert settings.images.registry_url == url


CONTOSO: dict[str, Any] = {
    "name": "contoso",
    "subscription": "S",
    "resource_group": "rg",
    "service": "Contoso",
}


def test_one_choice_says_where_a_sovereign_cloud_is(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, azure={"cloud": "usgov"}))
    (instance,) = instances_of(settings).values()
    assert instance.configuration_endpoint == "contoso.configuration.azure-api.us"
    assert gateway_link(instance, "edge-1").startswith("https://portal.azure.us/#@/resource/")
    assert settings.azure.home.arm == "https://management.usgovcloudapi.net"
    own = {"cloud": "china", "arm_endpoint": "https://azure.contoso.example"}
    assert load_settings(written(tmp_path, azure=own)).azure.arm_endpoint == own["arm_endpoint"]


@pytest.mark.parametrize("field", ["arm_endpoint", "authority"])
def test_an_address_of_a_cloud_says_which_it_is(tmp_path: Path, field: str) -> None:
    address = {"arm_endpoint": CLOUDS["china"].arm, "authority": CLOUDS["china"].authority}[field]
    settings = load_settings(written(tmp_path, azure={field: address}))
    assert settings.azure.home is CLOUDS["china"]
    assert load_settings(written(tmp_path)).azure.home is PUBLIC


@pytest.mark.parametrize(
    ("azure", "apim", "path"),
    [
        ({"cloud": "usgov", "authority": "https://login.microsoftonline.com"}, {}, "authority"),
        ({"cloud": "public", "arm_endpoint": "https://management.chinacloudapi.cn"}, {}, "arm_end"),
        ({"arm_endpoint": CLOUDS["usgov"].arm, "authority": CLOUDS["china"].authority}, {}, "azure."),
        ({}, {"configuration_endpoint": "contoso.configuration.azure-api.us"}, "apim[0].config"),
        ({"cloud": "china"}, {"endpoints": ["own.example", "x.azure-api.net"]}, "apim[0].endpoints"),
    ],
)  # fmt: skip
def test_addresses_of_two_clouds_are_found(
    tmp_path: Path, azure: dict[str, object], apim: dict[str, object], path: str
) -> None:
    with pytest.raises(InvalidInput, match=r"set azure\.cloud: ") as error:
        load_settings(written(tmp_path, azure=azure, apim=[{**GOOD["apim"][0], **apim}]))
    assert path in str(error.value)


def test_behind_an_arm_of_ones_own_endpoints_may_be_of_any_cloud(tmp_path: Path) -> None:
    own = {
        "arm_endpoint": "https://arm.contoso.example",
        "authority": "https://sts.contoso.example",
    }
    apim = {**GOOD["apim"][0], "configuration_endpoint": "contoso.configuration.azure-api.us"}
    settings = load_settings(written(tmp_path, azure=own, apim=[apim]))
    assert settings.apim[0].configuration_endpoint == apim["configuration_endpoint"]


def with_rule(**rule: object) -> dict[str, object]:
    return {"apim": [{**CONTOSO, "gateways": [rule]}]}


def test_the_settings_say_who_governs_a_gateways_tokens(tmp_path: Path) -> None:
    changes = with_rule(match="Shared-*", governed_by=["development"])
    (rule,) = governed_by(load_settings(written(tmp_path, **changes)))
    (instance,) = instances_of(load_settings(written(tmp_path, **changes))).values()
    assert rule.environments == ("development",)
    assert rule.covers(resource_of(instance, "shared-EU"))
    assert not rule.covers(resource_of(instance, "edge-1"))


def test_two_entries_of_one_service_are_the_same_gateways(tmp_path: Path) -> None:
    again = {**CONTOSO, "name": "again", "subscription": "s", "resource_group": "RG"}
    settings = load_settings(
        written(
            tmp_path, apim=[CONTOSO, {**again, "service": "contoso", "endpoints": ["eu.example"]}]
        )
    )
    instances = instances_of(settings)
    one = resource_of(instances["contoso"], "Edge-1")
    other = resource_of(instances["again"], "edge-1")
    assert one == other
    assert str(one).endswith("/microsoft.apimanagement/service/contoso/gateways/edge-1")
    own = "contoso.configuration.azure-api.net"
    assert instances["contoso"].configuration_endpoint == own, "a host has no capitals in a spec"
    assert known_hosts(instances, "contoso") == (own, "eu.example")
    assert known_hosts(instances, "nowhere") == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            with_rule(match="*", governed_by=["production"]),
            "apim[0].gateways[0].governed_by[0]: there is no environment “production”",
        ),
        (with_rule(match="*", governed_by=[]), "apim[0].gateways[0].governed_by"),
        (with_rule(match="", governed_by=["development"]), "apim[0].gateways[0].match"),
        ({"apim": [{**CONTOSO, "endpoints": ["http://x"]}]}, "apim[0].endpoints[0]"),
        ({"images": {"repositories": ["gateway:2"]}}, "images.repositories[0]"),
        (
            {"environments": [{"name": "unlisted"}]},
            "unlisted is reserved for gateways in no environment",
        ),
    ],
)
def test_a_mistake_about_who_governs_a_token_is_shown_with_its_path(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        load_settings(written(tmp_path, **changes))
    assert told in str(error.value)


@pytest.mark.parametrize("rule", sorted(BINDING))
@pytest.mark.parametrize("how", ["exempted", "milder"])
def test_what_guards_a_token_is_the_same_in_every_environment(
    tmp_path: Path, rule: str, how: str
) -> None:
    environment: dict[str, object] = {"name": "development", "rules": {rule: "warning"}}
    if how == "exempted":
        agreed = {"rule": rule, "reason": "Trial.", "until": "2027-03-31"}
        environment = {"name": "development", "exemptions": [agreed]}
    with pytest.raises(InvalidInput, match="guards a token"):
        load_settings(written(tmp_path, environments=[environment]))


def test_the_mirror_that_pods_pull_from_may_hold_a_token(tmp_path: Path) -> None:
    microsoft = "mcr.microsoft.com/azure-api-management/gateway"
    plain = load_settings(written(tmp_path))
    assert known_repositories(plain) == (microsoft,)
    mirror = load_settings(written(tmp_path, images={"pull_from": "registry.example/gw"}))
    assert known_repositories(mirror) == ("registry.example/gw", microsoft)
    alone = {"pull_from": "registry.example/gw", "repositories": ["other.example/gw"]}
    strict = load_settings(written(tmp_path, images=alone))
    assert known_repositories(strict) == ("registry.example/gw", "other.example/gw")


EXEMPTION = {"rule": "no-backup", "reason": "No storage yet.", "until": "2027-03-31"}


def with_exemptions(*exemptions: dict[str, object]) -> dict[str, object]:
    return {"environments": [{"name": "a", "exemptions": list(exemptions)}]}


@pytest.mark.parametrize("until", ["2027-03-31", datetime.date(2027, 3, 31)])
def test_an_exemption_names_a_rule_a_reason_and_a_last_day(tmp_path: Path, until: object) -> None:
    changes = with_exemptions({**EXEMPTION, "until": until})
    settings = load_settings(written(tmp_path, **changes))
    (environment,) = environments_of(settings)
    (exemption,) = environment.exemptions
    assert exemption == Exemption("no-backup", "No storage yet.", datetime.date(2027, 3, 31))


@pytest.mark.parametrize(
    ("exemptions", "told"),
    [
        ([{**EXEMPTION, "rule": "no-backups"}], "did you mean no-backup?"),
        ([{**EXEMPTION, "rule": "zzz"}], "docs/rules.md"),
        ([{**EXEMPTION, "until": "2027-02-30"}], "environments[0].exemptions[0].until"),
        ([{**EXEMPTION, "until": 20270331}], "expected a day"),
        ([{**EXEMPTION, "until": datetime.datetime(2027, 3, 31, 12)}], "expected a day"),
        ([{**EXEMPTION, "reason": ""}], "environments[0].exemptions[0].reason"),
        ([{"rule": "no-backup", "reason": "x"}], "environments[0].exemptions[0].until"),
        ([EXEMPTION, EXEMPTION], "no-backup is exempted twice"),
    ],
)
def test_a_wrong_exemption_is_told(
    tmp_path: Path, exemptions: list[dict[str, object]], told: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        load_settings(written(tmp_path, **with_exemptions(*exemptions)))
    assert told in str(error.value)


def test_an_environment_gives_rules_another_severity(tmp_path: Path) -> None:
    rules = {"floating-tag": "deny", "no-backup": "info"}
    changes = {"environments": [{"name": "a", "production": True, "rules": rules}]}
    (environment,) = environments_of(load_settings(written(tmp_path, **changes)))
    assert environment.severities == rules


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"no-backups": "info"}, "did you mean no-backup?"),
        ({"no-backup": "off"}, "environments[0].rules.no-backup"),
        ({"retired-endpoint": "info"}, "denies in production; exempt it"),
    ],
)
def test_a_wrong_severity_is_told(tmp_path: Path, rules: dict[str, str], told: str) -> None:
    changes = {"environments": [{"name": "a", "production": True, "rules": rules}]}
    with pytest.raises(InvalidInput) as error:
        load_settings(written(tmp_path, **changes))
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "just words", "a: [", "- 1"])
def test_a_file_that_holds_no_settings_is_said_to(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="settings file"):
        load_settings(path)


def test_a_file_without_a_field_is_told_which_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text("{}\n")
    with pytest.raises(UnusableSettings) as error:
        load_settings(path)
    assert [each.path for each in error.value.problems] == ["apim", "clusters", "environments"]


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--config"):
        load_settings(tmp_path / "nowhere.yaml")


def test_the_secrets_that_the_settings_need_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(written(tmp_path))
    with pytest.raises(InvalidInput, match="SLACK_BOT_TOKEN"):
        secrets_of(settings)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret-text")
    with pytest.raises(InvalidInput, match="SLACK_APP_TOKEN"):
        secrets_of(settings)
    http = Settings.model_validate({**GOOD, "slack": {"mode": "http"}})
    with pytest.raises(InvalidInput, match="SLACK_SIGNING_SECRET"):
        secrets_of(http)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret-text")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-secret-text")
    secrets = secrets_of(load_settings(written(tmp_path)))
    assert "secret-text" not in f"{secrets!r} {secrets}"
    assert secrets.slack_bot_token.get_secret_value() == "xoxb-secret-text"


def test_the_documented_settings_are_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    settings = load_settings(path)
    assert settings.environments[0].approval is not None
    assert settings.people["ana"] == ("U0AAA1111", "U0AAA2222")


GROUP = {"approvers": {"groups": ["S0123ABCD"]}}
APPROVERS = {"approvers": {"users": ["U0123ABCD"]}}


@pytest.mark.parametrize(
    ("approval", "windows", "allowed"),
    [
        ({**GROUP, "quorum": 1}, None, True),
        ({**GROUP, "quorum": 2}, None, False),
        ({**GROUP, "quorum": 1}, False, False),
        ({**GROUP, "quorum": 2}, False, False),
    ],
)
def test_approval_windows_are_allowed_where_one_approval_is_enough_and_nothing_else_is_said(
    tmp_path: Path, approval: dict[str, Any], windows: bool | None, allowed: bool
) -> None:
    said = {} if windows is None else {"windows": windows}
    environments = [{"name": "p", "approval": approval, **said}]
    settings = load_settings(written(tmp_path, environments=environments))
    (environment,) = environments_of(settings)
    assert environment.allows_windows is environment.windows is allowed


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"approval": {"approvers": {}}}, "environments[0].approval.approvers: "),
        ({"approval": {"approvers": {"users": ["ben"]}}}, "approval.approvers.users[0]: "),
        ({"approval": {"approvers": {"groups": ["U0123ABCD"]}}}, "approval.approvers.groups[0]: "),
        ({"approval": {**APPROVERS, "quorum": 2}}, "fewer approvers are named than the quorum"),
        ({"approval": {**APPROVERS, "quorum": 0}}, "environments[0].approval.quorum: "),
        (
            {"approval": {"approvers": {"groups": ["S0123ABCD"]}, "quorum": 2}, "windows": True},
            "windows: true requires approval.quorum 1",
        ),
        ({"channels": ["#gateway-ops"]}, "environments[0].channels[0]: "),
        ({"requesters": {}}, "name at least one user or group"),
        (
            {"freezes": [{"reason": "x", "starts": "2026-12-24", "ends": "2027-01-02T00:00:00Z"}]},
            "environments[0].freezes[0].starts: ",
        ),
        (
            {
                "freezes": [
                    {
                        "reason": "x",
                        "starts": "2027-01-02T00:00:00Z",
                        "ends": "2027-01-01T00:00:00Z",
                    }
                ]
            },
            "a freeze must end after it starts",
        ),
    ],
)
def test_what_is_wrong_about_approvals_is_told_with_its_path(
    tmp_path: Path, environment: dict[str, Any], told: str
) -> None:
    environments = [{"name": "p", "production": True, **environment}]
    with pytest.raises(InvalidInput) as error:
        load_settings(written(tmp_path, environments=environments))
    assert told in str(error.value)


def test_a_user_id_belongs_to_one_person(tmp_path: Path) -> None:
    people = {"ana": ["U0AAA1111"], "anna": ["U0AAA1111"]}
    with pytest.raises(InvalidInput, match="is assigned to two people"):
        load_settings(written(tmp_path, people=people))


def test_the_bot_signs_in_to_redis_by_its_url_or_with_its_azure_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, SECRETS[name])
    settings = load_settings(written(tmp_path))
    with_url = redis_of(settings, secrets_of(settings))().connection_pool.connection_kwargs
    assert (with_url["password"], with_url.get("credential_provider")) == ("secret", None)
    settings = load_settings(written(tmp_path, redis={"sign_in": "entra"}))
    connect = redis_of(settings, secrets_of(settings))
    with_entra = [connect().connection_pool.connection_kwargs for _ in range(2)]
    assert not any("password" in each for each in with_entra)
    signed_in = {vars(each["credential_provider"])["_credentials"] for each in with_entra}
    assert len(signed_in) == 1
    with pytest.raises(InvalidInput, match=r"redis\.entra_scope"):
        load_settings(written(tmp_path, redis={"sign_in": "entra", "entra_scope": "https://x"}))
