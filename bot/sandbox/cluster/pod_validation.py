"""What the API server refuses in a pod's or pod template's spec."""

import re
from typing import Any

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.errors import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from bot.sandbox.cluster.names import dns_label, dns_subdomain
from bot.sandbox.cluster.objects import Obj, get

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_PROBE_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_TOLERATION_OPERATORS = ("Equal", "Exists")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT_NAME_WORDS = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
_PORT_NAME = re.compile(r"^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$")
_ENV_NAME = re.compile(r"^[ -<>-~]+$")


def port_number(value: Any, field: str) -> list[Cause]:
    """A port outside 1–65535."""
    if isinstance(value, int) and not 1 <= value <= 65535:
        return [invalid_value(field, value, "must be between 1 and 65535, inclusive")]
    return []


def validate_pod_spec(spec: Obj, path: str, *, template: bool) -> list[Cause]:
    """Every cause to refuse `spec`, which stands at `path`; a `template` must restart always."""
    causes: list[Cause] = []
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        at = f"{path}.volumes[{index}]"
        causes += dns_label(volume.get("name", ""), f"{at}.name")
        if volume.get("name") in volumes:
            causes.append(duplicate(f"{at}.name", volume["name"]))
        volumes.add(volume.get("name", ""))
        if get(volume, "configMap") is not None and not volume["configMap"].get("name"):
            causes.append(required(f"{at}.configMap.name"))
        if get(volume, "secret") is not None and not volume["secret"].get("secretName"):
            causes.append(required(f"{at}.secret.secretName"))
    if not spec.get("containers"):
        causes.append(required(f"{path}.containers"))
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            at = f"{path}.{group}[{index}]"
            causes += _container(container, at, volumes)
            name = container.get("name", "")
            if name and name in names:
                causes.append(duplicate(f"{at}.name", name))
            names.add(name)
    restart = spec.get("restartPolicy", "")
    if template and restart != "Always":
        causes.append(unsupported(f"{path}.restartPolicy", restart, ("Always",)))
    elif restart not in _RESTART_POLICIES:
        causes.append(unsupported(f"{path}.restartPolicy", restart, _RESTART_POLICIES))
    if spec.get("dnsPolicy") not in _DNS_POLICIES:
        causes.append(unsupported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES))
    if spec.get("dnsPolicy") == "None" and not get(spec, "dnsConfig", "nameservers"):
        causes.append(
            required(
                f"{path}.dnsConfig.nameservers",
                'must provide at least one DNS nameserver when `dnsPolicy` is "None"',
            )
        )
    causes += _tolerations(spec, path)
    causes += _spread(spec, path)
    if spec.get("serviceAccountName"):
        causes += dns_subdomain(spec["serviceAccountName"], f"{path}.serviceAccountName")
    return causes


def _tolerations(spec: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, toleration in enumerate(spec.get("tolerations") or []):
        at = f"{path}.tolerations[{index}]"
        operator = toleration.get("operator") or "Equal"
        if operator not in _TOLERATION_OPERATORS:
            causes.append(unsupported(f"{at}.operator", operator, _TOLERATION_OPERATORS))
        elif operator == "Equal" and not toleration.get("key"):
            words = (
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"'
            )
            causes.append(invalid_value(f"{at}.operator", operator, words))
        elif operator == "Exists" and toleration.get("value"):
            words = "value must be empty when `operator` is 'Exists'"
            causes.append(invalid_value(f"{at}.operator", toleration["value"], words))
        effect = toleration.get("effect")
        if effect and effect not in _EFFECTS:
            causes.append(unsupported(f"{at}.effect", effect, _EFFECTS))
    return causes


def _spread(spec: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or []):
        at = f"{path}.topologySpreadConstraints[{index}]"
        skew, unsatisfiable = constraint.get("maxSkew"), constraint.get("whenUnsatisfiable")
        if not isinstance(skew, int) or skew < 1:
            causes.append(invalid_value(f"{at}.maxSkew", skew, "must be greater than zero"))
        if not constraint.get("topologyKey"):
            causes.append(required(f"{at}.topologyKey", "can not be empty"))
        if unsatisfiable not in _UNSATISFIABLE:
            causes.append(unsupported(f"{at}.whenUnsatisfiable", unsatisfiable, _UNSATISFIABLE))
    return causes


def _container(container: Obj, at: str, volumes: set[str]) -> list[Cause]:
    causes = dns_label(container.get("name", ""), f"{at}.name")
    if not container.get("image"):
        causes.append(required(f"{at}.image"))
    elif container["image"] != container["image"].strip():
        causes.append(
            invalid_value(
                f"{at}.image",
                container["image"],
                "must not have leading or trailing whitespace",
            )
        )
    policy = container.get("imagePullPolicy")
    if policy not in _PULL_POLICIES:
        causes.append(unsupported(f"{at}.imagePullPolicy", policy, _PULL_POLICIES))
    causes += _ports(container, at)
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            causes.append(required(f"{at}.env[{index}].name"))
        elif not _ENV_NAME.match(variable["name"]):
            causes.append(
                invalid_value(
                    f"{at}.env[{index}].name",
                    variable["name"],
                    "a valid environment variable name must consist only of printable ASCII "
                    "characters other than '='",
                )
            )
    paths: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{at}.volumeMounts[{index}]"
        name, path = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.append(required(f"{where}.name"))
        elif name not in volumes:
            causes.append(Cause("FieldValueNotFound", f"{where}.name", f'Not found: "{name}"'))
        if not path:
            causes.append(required(f"{where}.mountPath"))
        elif path in paths:
            causes.append(invalid_value(f"{where}.mountPath", path, "must be unique"))
        paths.add(path)
    causes += _resources(container.get("resources") or {}, f"{at}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            causes += _probe(container[probe], f"{at}.{probe}", probe)
    return causes


def _ports(container: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, port in enumerate(container.get("ports") or []):
        where = f"{at}.ports[{index}]"
        name = port.get("name", "")
        if name:
            if not _PORT_NAME.match(name):
                causes.append(
                    invalid_value(
                        f"{where}.name",
                        name,
                        "must be no more than 15 characters"
                        if len(name) > 15
                        else _PORT_NAME_WORDS,
                    )
                )
            if name in names:
                causes.append(duplicate(f"{where}.name", name))
            names.add(name)
        if not port.get("containerPort"):
            causes.append(required(f"{where}.containerPort"))
        causes += port_number(port.get("containerPort") or 1, f"{where}.containerPort")
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(unsupported(f"{where}.protocol", port.get("protocol"), _PROTOCOLS))
    return causes


def _resources(resources: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    limits = resources.get("limits") or {}
    for group in ("limits", "requests"):
        for name, amount in (resources.get(group) or {}).items():
            if quantity.parse(amount) < 0:
                causes.append(
                    invalid_value(
                        f"{at}.{group}[{name}]", amount, "must be greater than or equal to 0"
                    )
                )
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and quantity.parse(amount) > quantity.parse(limits[name]):
            causes.append(
                invalid_value(
                    f"{at}.requests",
                    amount,
                    f"must be less than or equal to {name} limit of {limits[name]}",
                )
            )
    return causes


def _probe(probe: Obj, at: str, name: str) -> list[Cause]:
    causes: list[Cause] = []
    handlers = [h for h in ("exec", "httpGet", "tcpSocket", "grpc") if probe.get(h) is not None]
    if not handlers:
        causes.append(required(at, "must specify a handler type"))
    causes += [
        forbidden_field(f"{at}.{extra}", "may not specify more than 1 handler type")
        for extra in handlers[1:]
    ]
    causes += [
        invalid_value(f"{at}.{field}", probe[field], "must be greater than or equal to 0")
        for field in _PROBE_NUMBERS
        if isinstance(probe.get(field), int) and probe[field] < 0
    ]
    if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        causes.append(
            invalid_value(f"{at}.successThreshold", probe["successThreshold"], "must be 1")
        )
    return causes
