"""The namespaces of a cluster that the bot looks at: all of them, or those that the settings list.

Everything that would ask a whole cluster asks here where to look, so that with Roles alone no request
leaves the namespaces that they are in. A Role can allow to read the Namespace object that it is in,
for the API server takes such a request to be one in that namespace (`RequestInfo` in
k8s.io/apiserver/pkg/endpoints/request); it cannot allow anything else of the whole cluster.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.errors import GatewayBotError, InvalidInput, NotGranted, Refused
from deploy.kube.api_errors import NamespaceEnds, missing_namespace
from deploy.kube.objects import Manifest

_NAMED = 8
"""So many namespaces are named in a sentence."""


@dataclass(frozen=True)
class Places:
    """Where to look on one cluster. Nothing listed stands for the whole cluster."""

    cluster: str
    listed: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str | None]:
        """What to list and watch, one by one; None is every namespace at once."""
        yield from self.listed or (None,)

    def __contains__(self, namespace: object) -> bool:
        return not self.listed or namespace in self.listed

    def of(self, namespace: str) -> str | None:
        """Which of these places a namespace is in."""
        return namespace if self.listed else None

    @property
    def text(self) -> str:
        """Those that are listed, for a sentence."""
        more = len(self.listed) - _NAMED
        names = ", ".join(self.listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"{'namespace' if len(self.listed) == 1 else 'namespaces'} {names}"

    @property
    def left_out(self) -> str:
        """That the rest of the cluster is not seen, in a sentence; empty where all of it is."""
        if not self.listed:
            return ""
        return f"On cluster “{self.cluster}” the bot watches only {self.text}."

    @property
    def rights(self) -> str:
        """What gives the bot the rights that it needs here, in an imperative."""
        if self.listed:
            return "Bind the Role for listed namespaces (docs/install.md) to the bot there."
        return "Bind the ClusterRole (docs/install.md) to the bot."

    def check(self, namespace: str) -> None:
        """InvalidInput for a namespace that is not among those listed."""
        if namespace not in self:
            near = difflib.get_close_matches(namespace, self.listed, n=1)
            raise InvalidInput(
                f"Namespace “{namespace}” on cluster “{self.cluster}” is not one of the "
                "namespaces that the bot watches.",
                field="namespace",
                meaning=(
                    "The bot can neither read nor change anything there. Its settings list "
                    f"{self.text}."
                ),
                remedy=f"Choose one of these, or have {namespace} added to `namespaces` of cluster "
                f"{self.cluster} in the settings, with the Role of docs/install.md in it.",
            ).did_mean("namespace", *near)


@dataclass(frozen=True)
class Everywhere:
    """Objects of every namespace that is looked at, and in sentences what of them is not seen:
    namespaces that refused, and the rest of the cluster where it is left out."""

    items: tuple[Manifest, ...]
    refused: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def unseen(self) -> tuple[str, ...]:
        """Both."""
        return tuple(filter(None, (self.left_out, *self.refused)))


class PlaceReads(ABC):
    """The part of a cluster's client that knows its namespaces."""

    name: str
    places: Places
    _uid: list[str]

    @abstractmethod
    def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        """An object, or None."""

    @abstractmethod
    def list(self, kind: str, namespace: str | None = None) -> "list[Manifest]":
        """The objects of a namespace, or of all of them."""

    def namespaces(self) -> tuple[str, ...]:
        """The names of all namespaces that are looked at, sorted."""
        known = self.places.listed or (n["metadata"]["name"] for n in self.list("Namespace"))
        return tuple(sorted(known))

    def check_namespace(self, namespace: str) -> Manifest:
        """The namespace. NotFound when there is none, NamespaceEnds when it is being deleted,
        InvalidInput when it is not looked at."""
        found = self._namespace(namespace)
        if found["metadata"].get("deletionTimestamp"):
            raise NamespaceEnds(self.name, namespace)
        return found

    def uid(self, namespace: str) -> str:
        """What makes a namespace of this cluster itself and no other: the UID of the cluster's
        kube-system namespace, and where namespaces are listed, its own."""
        if self.places.listed:
            return str(self._namespace(namespace)["metadata"]["uid"])
        if not self._uid:
            system = self.get("Namespace", None, "kube-system")
            if system is None:
                raise missing_namespace(self.name, "kube-system")
            # Shared by those that this cluster was made into.
            self._uid.append(system["metadata"]["uid"])
        return self._uid[0]

    def everywhere(self, kind: str) -> Everywhere:
        """The objects of every namespace that is looked at. Where namespaces are listed, one that
        refuses takes nothing from the others; else raises what listing raises."""
        if not self.places.listed:
            return Everywhere(tuple(self.list(kind)))
        items: tuple[Manifest, ...] = ()
        refused: tuple[str, ...] = ()
        for namespace in self.places.listed:
            try:
                items += tuple(self.list(kind, namespace))
            except Refused as error:
                refused += (error.happened,)
        return Everywhere(items, refused, self.places.left_out)

    def _namespace(self, namespace: str) -> Manifest:
        self.places.check(namespace)
        try:
            found = self.get("Namespace", None, namespace)
        except NotGranted as error:
            raise self._no_role(namespace, error) from error
        if found is None:
            raise missing_namespace(self.name, namespace, self._there())
        return found

    def _there(self) -> "tuple[str, ...]":
        """The namespaces that there are; none where they cannot be read."""
        try:
            return self.namespaces()
        except GatewayBotError:
            return ()

    def _no_role(self, namespace: str, error: NotGranted) -> GatewayBotError:
        """A namespace that is not there refuses as one without a Role does."""
        if not self.places.listed:
            return error
        return NotGranted(
            f"Namespace “{namespace}” does not exist on cluster “{self.name}”, or the bot has no "
            "Role in it.",
            meaning="Without the Role, the cluster does not reveal which is the case.",
            remedy=f"Create the namespace. {self.places.rights}",
        )
