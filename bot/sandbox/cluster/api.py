"""The verbs of the API, without HTTP: the server calls them for clients, the controllers call
them directly."""

import json
from typing import Any

import yaml

from bot.sandbox.cluster import apply as server_side_apply
from bot.sandbox.cluster import errors, managed_fields, patches
from bot.sandbox.cluster.admission import Admission
from bot.sandbox.cluster.decoding import (
    Options,
    Undecodable,
    check_identity,
    check_namespace_match,
    check_type_meta,
    decode,
    from_storage,
    to_storage,
)
from bot.sandbox.cluster.defaults import apply_defaults, initial_status, zero_object
from bot.sandbox.cluster.errors import ApiError, Cause
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.managed_fields import Entry, Manager
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_terminating,
    name_of,
    name_suffix,
    namespace_of,
    new_uid,
    timestamp,
)
from bot.sandbox.cluster.quotas import check_quota
from bot.sandbox.cluster.rbac import Attributes, Authorizer, denied
from bot.sandbox.cluster.schema import struct
from bot.sandbox.cluster.store import Store
from bot.sandbox.cluster.type_errors import as_converted
from bot.sandbox.cluster.validation import validate
from bot.sandbox.cluster.warnings import warnings_of
from bot.sandbox.cluster.webhooks import Webhooks

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_SYSTEM_FIELDS = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)
# Kinds whose update must say which version it replaces.
_CONDITIONAL_ONLY = frozenset({"Lease", "PodDisruptionBudget"})


class Api:
    """Reads and writes objects with everything a write means: decoding, defaults, admission,
    validation, owners."""

    def __init__(self, store: Store, authorizer: Authorizer, admission: Admission) -> None:
        self.store = store
        self.authorizer = authorizer
        self.admission = admission
        self._webhooks = Webhooks(store)

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """The object. ApiError 404."""
        found = self.store.get(kind, namespace, name)
        if found is None:
            raise errors.not_found(kind, name)
        return from_storage(kind, found)

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """The object, or None."""
        return self.store.get(kind, namespace, name)

    def create(self, kind: Kind, namespace: str, body: Any, options: Options) -> Obj:
        """Store a new object. ApiError 400, 403, 404 (namespace), 409 or 422."""
        check_type_meta(kind, body)
        check_namespace_match(body, namespace)
        obj = decode(kind, body, options)
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + name_suffix()
        self.admission.check_namespace(kind, namespace, metadata.get("name", ""))
        return self._insert(kind, namespace, obj, options, None)

    def _insert(self, kind: Kind, namespace: str, obj: Obj, options: Options, owners: Any) -> Obj:
        metadata = obj["metadata"]
        if kind.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        now = timestamp()
        for name in (*_SYSTEM_FIELDS, "resourceVersion", "managedFields"):
            metadata.pop(name, None)
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = now
        apply_defaults(kind, obj)
        if kind.has_generation:
            metadata["generation"] = 1
        obj = to_storage(kind, obj)
        if "status" in kind.subresources and kind.kind != "Node":
            obj.pop("status", None)
        if owners is None:
            who = Manager(options.manager, "Update", kind.api_version)
            node = struct(kind.model)
            owners = managed_fields.after_update(node, zero_object(kind), obj, who, now)
        managed_fields.store(obj, owners)
        if name_of(obj) and self.store.get(kind, namespace_of(obj), name_of(obj)) is not None:
            raise errors.already_exists(kind, name_of(obj))
        obj = self._admitted(kind, obj, None, options)
        status = initial_status(kind, obj)
        if status is not None:
            obj["status"] = status
        self._validate(kind, obj, None)
        options.warnings += warnings_of(kind, obj)
        self._webhooks.validate(kind, obj, None, dry_run=options.dry_run)
        check_quota(self.store, kind, obj)
        if options.dry_run:
            return from_storage(kind, obj)
        return from_storage(kind, self.store.put(kind, obj))

    def _admitted(self, kind: Kind, obj: Obj, old: Obj | None, options: Options) -> Obj:
        self.admission.admit(kind, obj, old, dry_run=options.dry_run)
        changed = self._webhooks.mutate(kind, obj, old, dry_run=options.dry_run)
        if changed is not obj:
            apply_defaults(kind, changed)
        return changed

    def _validate(self, kind: Kind, obj: Obj, old: Obj | None) -> None:
        causes: list[Cause] = validate(kind, obj, old)
        if causes:
            raise errors.invalid(kind.kind, kind.group, name_of(obj), causes)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Any,
        options: Options,
        subresource: str = "",
    ) -> Obj:
        """Replace an object, or only its status. ApiError 400, 404, 409 or 422."""
        check_type_meta(kind, body)
        check_namespace_match(body, namespace)
        named = get(body, "metadata", "name", default="")
        if named != name:
            raise errors.bad_request(
                f"the name of the object ({named}) does not match the name on the URL ({name})"
            )
        old = self.store.get(kind, namespace, name)
        if old is None:
            if kind.kind == "Lease":
                return self.create(kind, namespace, body, options)
            raise errors.not_found(kind, name)
        obj = decode(kind, body, options)
        if kind.kind in _CONDITIONAL_ONLY and not obj["metadata"].get("resourceVersion"):
            cause = errors.invalid_value(
                "metadata.resourceVersion", 0, "must be specified for an update"
            )
            raise errors.invalid(kind.kind, kind.group, name, [cause])
        return self._replace(kind, old, obj, options, subresource, None)

    def _replace(
        self,
        kind: Kind,
        old: Obj,
        obj: Obj,
        options: Options,
        subresource: str,
        owners: managed_fields.Managers | None,
    ) -> Obj:
        name, metadata, before = name_of(old), obj["metadata"], old["metadata"]
        version = metadata.pop("resourceVersion", None)
        if version and version != before["resourceVersion"]:
            raise errors.modified(kind, name)
        if metadata.get("uid") and metadata["uid"] != before["uid"]:
            raise errors.conflict(
                kind,
                name,
                f"Precondition failed: UID in precondition: {metadata['uid']}, "
                f"UID in object meta: {before['uid']}",
            )
        ends = metadata.get("deletionTimestamp")
        if ends and ends != before.get("deletionTimestamp"):
            cause = errors.invalid_value("metadata.deletionTimestamp", ends, errors.IMMUTABLE)
            raise errors.invalid(kind.kind, kind.group, name, [cause])
        for field in (*_SYSTEM_FIELDS, "name", "namespace"):
            if field in before:
                metadata[field] = before[field]
            else:
                metadata.pop(field, None)
        apply_defaults(kind, obj)
        obj = _keep_other_half(kind, to_storage(kind, obj), old, subresource)
        if owners is None:
            who = Manager(options.manager, "Update", kind.api_version, subresource)
            owners = managed_fields.after_update(struct(kind.model), old, obj, who, timestamp())
            if subresource == "scale":
                owners = managed_fields.after_scale(owners, old, obj)
        managed_fields.store(obj, owners)
        if not subresource:
            obj = self._admitted(kind, obj, old, options)
            self._validate(kind, obj, old)
            self._webhooks.validate(kind, obj, old, dry_run=options.dry_run)
        if kind.has_generation and _generation_moves(kind, obj, old):
            obj["metadata"]["generation"] = before.get("generation", 0) + 1
            options.warnings += [] if subresource else warnings_of(kind, obj)
        obj["metadata"]["resourceVersion"] = before["resourceVersion"]
        if obj == old or options.dry_run:
            return from_storage(kind, old if obj == old else obj)
        stored = self.store.put(kind, obj)
        if is_terminating(stored) and _may_go(kind, stored):
            self.store.remove(kind, namespace_of(stored), name)
        return from_storage(kind, stored)

    def update_status(self, kind: Kind, obj: Obj, manager: str) -> Obj:
        """A controller's write of an object's status (and annotations, which the status endpoint
        takes)."""
        options = Options(manager=manager)
        return self.update(kind, namespace_of(obj), name_of(obj), obj, options, "status")

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        media_type: str,
        body: bytes,
        options: Options,
        subresource: str = "",
    ) -> tuple[Obj, bool]:
        """Patch an object; the flag says whether an apply created it. ApiError as for update, and
        415."""
        if media_type == APPLY_PATCH:
            return self._apply(kind, namespace, name, body, options, subresource)
        old = self.store.get(kind, namespace, name)
        if old is None:
            raise errors.not_found(kind, name)
        shown = from_storage(kind, old)
        patched = patch_value(kind, shown, media_type, body)
        try:
            check_type_meta(kind, patched)
            obj = decode(kind, patched, options, body.decode(errors="replace"))
        except Undecodable as error:
            # The server shows the whole object that the patch would have made.
            made = json.dumps(patched, separators=(",", ":"), ensure_ascii=False)
            cause = errors.invalid_value("patch", made, error.why)
            raise errors.invalid("", "", "", [cause]) from error
        check_identity(kind, old, obj, namespace)
        return self._replace(kind, old, obj, options, subresource, None), False

    def apply(self, kind: Kind, namespace: str, name: str, wanted: Obj, options: Options) -> Obj:
        """Server-side apply of an object that is already parsed."""
        body = json.dumps(wanted).encode()
        return self._apply(kind, namespace, name, body, options, "")[0]

    def _apply(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: bytes,
        options: Options,
        subresource: str,
    ) -> tuple[Obj, bool]:
        wanted = _applied_body(kind, namespace, name, body)
        old = self.store.get(kind, namespace, name)
        if old is None:
            if subresource:
                raise errors.not_found(kind, name)
            asked = Attributes("create", kind.group, kind.plural, "", namespace, name)
            if not self.authorizer.allows(options.who, asked):
                raise denied(options.who, asked)
        version = get(wanted, "metadata", "resourceVersion")
        version_kind = f"{kind.group}/{kind.version}, Kind={kind.kind}"
        # The server names the namespace only where the body does.
        where = f"{get(wanted, 'metadata', 'namespace', default='')}/{name}; {version_kind}"
        live = from_storage(kind, old) if old is not None else zero_object(kind)
        now = timestamp()
        who = Manager(options.manager, "Apply", kind.api_version, subresource)
        if "status" in kind.subresources:
            wanted = {
                k: v
                for k, v in wanted.items()
                if (k == "status") == bool(subresource) or k not in ("status", "spec")
            }
        result = server_side_apply.apply(
            struct(kind.model), live, wanted, who, now, force=options.force, where=where
        )
        try:
            lenient = Options(field_validation="Ignore")
            obj = decode(kind, result.obj, lenient)
        except Undecodable as error:
            raise errors.server_error(
                f"failed to convert new object ({where}) to proper version: unable to convert "
                f"unstructured object to {version_kind}: {as_converted(error.why)}"
            ) from error
        if old is None:
            if version:
                raise errors.conflict(kind, name, "object does not exist")
            self.admission.check_namespace(kind, namespace, name)
            return self._insert(kind, namespace, obj, options, result.managers), True
        obj["metadata"]["resourceVersion"] = version
        owners = _with_times(result.managers, who, managed_fields.decode(old), obj, old, now)
        return self._replace(kind, old, obj, options, subresource, owners), False


def patch_value(kind: Kind, target: Obj, media_type: str, body: bytes) -> Any:
    """`target` with a JSON, merge or strategic merge patch done to it. ApiError 400, 415 or 422."""
    if media_type not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from error
    if media_type == JSON_PATCH:
        return patches.json_patch(target, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal into map")
    if media_type == MERGE_PATCH:
        return patches.merge_patch(target, patch)
    return patches.strategic_merge(struct(kind.model), target, patch)


def _applied_body(kind: Kind, namespace: str, name: str, body: bytes) -> Obj:
    try:
        wanted = yaml.load(body, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(wanted, dict):
        raise errors.bad_request("error decoding YAML: the body is not an object")
    version, kind_name = wanted.get("apiVersion", ""), wanted.get("kind", "")
    if not version or not kind_name:
        missing = "kind" if not kind_name else "apiVersion"
        raise errors.bad_request(f"Object '{missing.capitalize()}' is missing in '{{}}'")
    if (version, kind_name) != (kind.api_version, kind.kind):
        group, _, short = version.rpartition("/")
        raise errors.bad_request(f"invalid object type: {group}/{short}, Kind={kind_name}")
    metadata = wanted.get("metadata") or {}
    check_namespace_match(wanted, namespace)
    if metadata.get("name", name) != name:
        raise errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({name})"
        )
    if metadata.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    plain = {k: v for k, v in metadata.items() if k not in (*_SYSTEM_FIELDS, "managedFields")}
    return {**wanted, "metadata": plain}


def _with_times(
    owners: managed_fields.Managers,
    who: Manager,
    before: managed_fields.Managers,
    obj: Obj,
    old: Obj,
    now: str,
) -> managed_fields.Managers:
    """The applier's time moves when it changed a value, even when it owns the same fields as
    before."""
    changed = {k: v for k, v in obj.items() if k not in ("metadata", "status")} != {
        k: v for k, v in old.items() if k not in ("metadata", "status")
    }
    mine = owners.get(who)
    if mine is None or who not in before or not changed:
        return owners
    return {**owners, who: Entry(mine.fields, now)}


def _keep_other_half(kind: Kind, obj: Obj, old: Obj, subresource: str) -> Obj:
    """The status endpoint writes no spec, the main one no status."""
    if "status" not in kind.subresources:
        return obj
    if subresource != "status":
        kept = {k: v for k, v in obj.items() if k != "status"}
        return {**kept, "status": copy(old["status"])} if "status" in old else kept
    metadata = obj["metadata"]
    for field in (
        ("labels", "ownerReferences", "finalizers")
        if kind.kind == "Deployment"
        else ("ownerReferences",)
    ):
        if field in old["metadata"]:
            metadata[field] = old["metadata"][field]
        else:
            metadata.pop(field, None)
    return {**old, "metadata": metadata, "status": obj.get("status") or {}}


def _generation_moves(kind: Kind, obj: Obj, old: Obj) -> bool:
    if kind.kind == "EndpointSlice":
        parts = ("endpoints", "ports")
        return any(obj.get(part) != old.get(part) for part in parts)
    if obj.get("spec") != old.get("spec"):
        return True
    # The Deployment strategy counts annotations as well, because they are copied to the
    # ReplicaSets. Its own revision annotation is written through the status endpoint, which keeps
    # the generation.
    return kind.kind == "Deployment" and _own_annotations(obj) != _own_annotations(old)


def _own_annotations(obj: Obj) -> dict[str, str]:
    found: dict[str, str] = get(obj, "metadata", "annotations", default={})
    return {k: v for k, v in found.items() if k != "deployment.kubernetes.io/revision"}


def _may_go(kind: Kind, obj: Obj) -> bool:
    if get(obj, "metadata", "finalizers") or get(obj, "spec", "finalizers"):
        return False
    return kind.kind != "Pod" or get(obj, "metadata", "deletionGracePeriodSeconds") == 0
