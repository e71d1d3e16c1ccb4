"""Reviews of oneself: what may I do, who am I."""

from bot.sandbox.cluster import managed_fields
from bot.sandbox.cluster.authentication import Tokens
from bot.sandbox.cluster.decoding import Options, check_type_meta, decode
from bot.sandbox.cluster.defaults import zero_object
from bot.sandbox.cluster.errors import bad_request
from bot.sandbox.cluster.identity import MASTERS, Identity
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.managed_fields import Manager
from bot.sandbox.cluster.objects import Obj, get, timestamp
from bot.sandbox.cluster.rbac import Attributes, Authorizer
from bot.sandbox.cluster.schema import struct


def review(kind: Kind, body: Obj, authorizer: Authorizer, options: Options) -> Obj:
    """Answer a SelfSubject… review."""
    check_type_meta(kind, body)
    obj = decode(kind, body, options)
    if kind.kind == "SelfSubjectAccessReview":
        obj["status"] = _access(obj, authorizer, options.who)
    elif kind.kind == "SelfSubjectRulesReview":
        obj["status"] = _rules(obj, authorizer, options.who)
    else:
        who_asks = options.who
        info: Obj = {"username": who_asks.user, "groups": list(who_asks.all_groups)}
        if who_asks.uid:
            info["uid"] = who_asks.uid
        if who_asks.extra:
            info["extra"] = {key: list(values) for key, values in who_asks.extra}
        obj["status"] = {"userInfo": info}
        return obj
    who = Manager(options.manager, "Update", kind.api_version)
    spec_only = {k: v for k, v in obj.items() if k != "status"}
    owners = managed_fields.after_update(
        struct(kind.model), zero_object(kind), spec_only, who, timestamp()
    )
    managed_fields.store(obj, owners)
    return obj


def _access(obj: Obj, authorizer: Authorizer, who: Identity) -> Obj:
    asked = get(obj, "spec", "resourceAttributes")
    other = get(obj, "spec", "nonResourceAttributes")
    if asked is not None:
        allowed = authorizer.allows(
            who,
            Attributes(
                asked.get("verb", ""),
                asked.get("group", ""),
                asked.get("resource", ""),
                asked.get("subresource", ""),
                asked.get("namespace", ""),
                asked.get("name", ""),
            ),
        )
    elif other is not None:
        allowed = authorizer.allows(
            who, Attributes(other.get("verb", ""), path=other.get("path", ""))
        )
    else:
        raise bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    return {"allowed": allowed}


def _rules(obj: Obj, authorizer: Authorizer, who: Identity) -> Obj:
    namespace = get(obj, "spec", "namespace", default="")
    if MASTERS in who.groups:
        return {
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
    found = list(authorizer.rules(who, namespace))
    return {
        "resourceRules": [
            {k: rule[k] for k in ("verbs", "apiGroups", "resources", "resourceNames") if k in rule}
            for rule in found
            if rule.get("resources")
        ],
        "nonResourceRules": [
            {k: rule[k] for k in ("verbs", "nonResourceURLs")}
            for rule in found
            if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }


def token_request(body: Obj, namespace: str, account: str, tokens: Tokens) -> Obj:
    """Answer a TokenRequest for a service account."""
    seconds = int(get(body, "spec", "expirationSeconds", default=3600))
    token, end = tokens.mint(namespace, account, seconds)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account, "namespace": namespace, "creationTimestamp": timestamp()},
        "spec": {
            "audiences": get(body, "spec", "audiences", default=["https://kubernetes.default.svc"]),
            "expirationSeconds": seconds,
        },
        "status": {"token": token, "expirationTimestamp": end},
    }
