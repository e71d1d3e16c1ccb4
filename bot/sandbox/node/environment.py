"""A container's environment variables, put together from ConfigMaps, Secrets and the pod itself."""

import base64
import re
from collections.abc import Mapping

from bot.sandbox.node.api import Api, ApiError, Json

_REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """The container cannot be created; the text is the kubelet's own."""


class EnvironmentBuilder:
    """Resolves the variables of one container, reading each object once."""

    def __init__(self, api: Api, pod: Json, addresses: Mapping[str, str]) -> None:
        """`addresses` holds what the API server may not know yet: status.podIP, status.hostIP."""
        self._api = api
        self._pod = pod
        self._namespace = str(pod["metadata"]["namespace"])
        self._addresses = addresses
        self._cache: dict[tuple[str, str], Mapping[str, str] | None] = {}

    async def build(self, container: Json) -> dict[str, str]:
        """The environment. ConfigError when something it needs is absent."""
        result: dict[str, str] = {}
        for source in container.get("envFrom") or []:
            prefix = source.get("prefix") or ""
            for kind, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
                reference = source.get(kind)
                if reference is not None:
                    data = await self._data(plural, reference)
                    result.update({prefix + key: value for key, value in data.items()})
        for variable in container.get("env") or []:
            if "valueFrom" in variable:
                value = await self._value_from(container, variable["valueFrom"])
                if value is None:
                    continue
            else:
                value = _expand(str(variable.get("value") or ""), result)
            result[str(variable["name"])] = value
        return result

    async def _data(self, plural: str, reference: Json) -> Mapping[str, str]:
        data = await self._read(plural, str(reference["name"]))
        if data is None and not reference.get("optional"):
            raise ConfigError(f'{plural[:-1]} "{reference["name"]}" not found')
        return data or {}

    async def _value_from(self, container: Json, source: Json) -> str | None:
        for kind, plural, title in (
            ("configMapKeyRef", "configmaps", "ConfigMap"),
            ("secretKeyRef", "secrets", "Secret"),
        ):
            reference = source.get(kind)
            if reference is not None:
                data = await self._data(plural, reference)
                value = data.get(reference["key"])
                if value is None and not reference.get("optional"):
                    raise ConfigError(
                        f"couldn't find key {reference['key']} in {title} "
                        f"{self._namespace}/{reference['name']}"
                    )
                return value
        if "fieldRef" in source:
            return self._field(str(source["fieldRef"]["fieldPath"]))
        if "resourceFieldRef" in source:
            section, _, name = str(source["resourceFieldRef"]["resource"]).partition(".")
            resources = container.get("resources") or {}
            return str((resources.get(section) or {}).get(name, "0"))
        raise ConfigError("unsupported valueFrom")

    def _field(self, path: str) -> str:
        subscript = _SUBSCRIPT.fullmatch(path)
        if subscript:
            values = self._pod["metadata"].get(subscript[1]) or {}
            return str(values.get(subscript[2], ""))
        if path in self._addresses:
            return self._addresses[path]
        found: object = self._pod
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is None and path.startswith(("metadata.", "spec.", "status.")):
            return ""
        if not isinstance(found, str):
            raise ConfigError(f"unsupported fieldPath: {path}")
        return found

    async def _read(self, plural: str, name: str) -> Mapping[str, str] | None:
        key = (plural, name)
        if key not in self._cache:
            self._cache[key] = await read_data(self._api, self._namespace, plural, name)
        return self._cache[key]


async def read_data(api: Api, namespace: str, plural: str, name: str) -> Mapping[str, str] | None:
    """The text data of a ConfigMap or Secret; None if there is no such object."""
    try:
        found = await api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    except ApiError as problem:
        if problem.status == 404:
            return None
        raise
    data = found.get("data") or {}
    if plural == "secrets":
        return {k: base64.b64decode(v).decode(errors="replace") for k, v in data.items()}
    return {k: str(v) for k, v in data.items()}


def _expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by an earlier variable; unknown names stay as they are, $$ is one $."""

    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return known.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)
