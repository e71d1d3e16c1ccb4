"""What a change is asked for with, by kind: typed, and JSON for the store. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from deploy.gateway import GatewayRef
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import both, merged, unpinned
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.rotation import Rotation, rotation_from_mapping, rotation_to_mapping
from deploy.tokens.token import KeyType, key_type


@dataclass(frozen=True)
class DeployRequest:
    """A whole gateway as it is to be; `take_over` also where others own its fields. `counts` says
    that a number of pods was asked for: else those that run stay.

    `asked` is what of it somebody has asked for, laid over what ran: planned again later, it goes over
    what runs by then, and what other actions have changed meanwhile stays. None where all of it was
    asked for.
    """

    spec: GatewaySpec
    take_over: bool = False
    counts: bool = False
    asked: Mapping[str, Any] | None = None

    def onto(self, now: Mapping[str, Any]) -> Self:
        """The same for a gateway whose spec is another one `now`. InvalidInput where what was asked
        for does not go with that."""
        if self.asked is None:
            return self
        mapping = unpinned(now, merged(now, self.asked), self.asked)
        spec = dataclasses.replace(spec_from_mapping(mapping), ref=self.spec.ref)
        return dataclasses.replace(self, spec=spec)

    def with_patch(self, patch: Mapping[str, Any], spec: GatewaySpec) -> Self:
        """The same with a patch of what was shown, which makes it that spec."""
        return dataclasses.replace(
            self,
            spec=spec,
            counts=self.counts or "replicas" in patch,
            asked=None if self.asked is None else both(self.asked, patch),
        )

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {
            "spec": spec_to_mapping(self.spec),
            "take_over": self.take_over,
            **({"counts": True} if self.counts else {}),
            **({"asked": dict(self.asked)} if self.asked is not None else {}),
        }

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        spec, counts = spec_from_mapping(data["spec"]), bool(data.get("counts"))
        return cls(spec, bool(data["take_over"]), counts, data.get("asked"))


@dataclass(frozen=True)
class RollbackRequest(DeployRequest):
    """What the `revision` of that number was deployed with; 0 where an older bot has asked.

    The revision is found once, when it is asked for: planned again, it goes back to the same, though
    its number may be another's by then. Unless it `counts`, the pods are counted as they are today.
    """

    revision: int = 0

    def with_patch(self, patch: Mapping[str, Any], spec: GatewaySpec) -> Self:
        """As of a deployment. A patch of the autoscaler is about the number of pods too."""
        patched = super().with_patch(patch, spec)
        return dataclasses.replace(patched, counts=patched.counts or "autoscaling" in patch)

    @property
    def target(self) -> str:
        """What it goes back to, as its title names it."""
        named = f" (revision {self.revision})" if self.revision else ""
        return f"{self.spec.tag}{named}"

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able: to an older bot, one of a whole spec."""
        return {**super().to_mapping(), "revision": self.revision}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote, or an older bot."""
        asked = DeployRequest.from_mapping(data)
        revision = int(data.get("revision", 0))
        return cls(asked.spec, asked.take_over, asked.counts, revision=revision)


@dataclass(frozen=True)
class ScaleRequest:
    """Another number of pods for the gateway as it is installed."""

    ref: GatewayRef
    replicas: int
    take_over: bool = False

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {
            "ref": dataclasses.asdict(self.ref),
            "replicas": self.replicas,
            "take_over": self.take_over,
        }

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(GatewayRef(**data["ref"]), int(data["replicas"]), bool(data["take_over"]))


@dataclass(frozen=True)
class RestartRequest:
    """New pods of the gateway as it is installed; `at` marks them, ISO 8601."""

    ref: GatewayRef
    at: str
    take_over: bool = False

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {"ref": dataclasses.asdict(self.ref), "at": self.at, "take_over": self.take_over}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(GatewayRef(**data["ref"]), str(data["at"]), bool(data["take_over"]))


@dataclass(frozen=True)
class RotateRequest:
    """A new token for the gateway as it is installed."""

    ref: GatewayRef
    rotation: Rotation
    take_over: bool = False

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {
            "ref": dataclasses.asdict(self.ref),
            "rotation": rotation_to_mapping(self.rotation),
            "take_over": self.take_over,
        }

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        rotation = rotation_from_mapping(data["rotation"])
        return cls(GatewayRef(**data["ref"]), rotation, bool(data["take_over"]))


@dataclass(frozen=True)
class ManageTokenRequest:
    """The token of a gateway that others deploy, kept by this bot from now on: that of the `gateway`
    of an API Management `instance` of the settings."""

    ref: GatewayRef
    instance: str
    gateway: str
    rotation: Rotation

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {
            "ref": dataclasses.asdict(self.ref),
            "instance": self.instance,
            "gateway": self.gateway,
            "rotation": rotation_to_mapping(self.rotation),
        }

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(
            GatewayRef(**data["ref"]),
            str(data["instance"]),
            str(data["gateway"]),
            rotation_from_mapping(data["rotation"]),
        )


@dataclass(frozen=True)
class EndTokenRequest:
    """The token of a gateway that others deploy, no longer kept by this bot."""

    ref: GatewayRef

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {"ref": dataclasses.asdict(self.ref)}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(GatewayRef(**data["ref"]))


@dataclass(frozen=True)
class KeyRequest:
    """One of the two keys of a gateway's resource in Azure, made anew."""

    ref: GatewayRef
    key: KeyType

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {"ref": dataclasses.asdict(self.ref), "key": self.key}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote. KeyError for a key that no gateway has."""
        key = key_type(data["key"])
        if key is None:
            raise KeyError("key")
        return cls(GatewayRef(**data["ref"]), key)


@dataclass(frozen=True)
class RemovalRequest:
    """The gateway deleted; its configuration backup only with `volumes`."""

    ref: GatewayRef
    volumes: bool = False

    def to_mapping(self) -> dict[str, Any]:
        """The request, JSON-able."""
        return {"ref": dataclasses.asdict(self.ref), "volumes": self.volumes}

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_mapping` wrote."""
        return cls(GatewayRef(**data["ref"]), bool(data["volumes"]))


def takes_over(request: object) -> bool:
    """Whether it was asked to change also what other field managers own."""
    return bool(getattr(request, "take_over", False))
