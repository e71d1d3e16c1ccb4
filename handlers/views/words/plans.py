"""What a plan says of tokens, of the objects of a new gateway, and of what is under *Details*."""

from handlers.views.text import counted

_PLURALS = {"NetworkPolicy": "NetworkPolicies"}


def valid_until(day: str) -> str:
    """Until when a token is valid that is made now."""
    return f"valid until {day}"


def valid_for(length: str) -> str:
    """The same where that is not known."""
    return f"valid for {length}"


def objects(count: int, kind: str) -> str:
    """`Deployment`, `2 Services`."""
    return kind if count == 1 else f"{count} {_PLURALS.get(kind, f'{kind}s')}"


def each_pod(requests: str) -> str:
    """What Kubernetes sets aside for a pod."""
    return f"each pod requests {requests}"


def of_several(gateways: int, replaced: int, cut: int) -> str:
    """What becomes of the pods and connections of several gateways, of which those are so many."""
    if not replaced:
        pods = "No pod is restarted"
    else:
        whose = "each gateway" if replaced == gateways else f"{replaced} of {gateways} gateways"
        pods = f"When it runs, the pods of {whose} are replaced, one after another"
    if not cut:
        return f"{pods}; no connection is cut."
    return f"{pods}. :electric_plug: *Open connections of {counted(cut, 'gateway')} are cut.*"


def under_details(more: int, advice: int) -> str:
    """What findings are left out; empty where none are."""
    left = [counted(more, "more warning")] if more else []
    left += [counted(advice, "recommendation")] if advice else []
    return f"Details has {' and '.join(left)}." if left else ""
