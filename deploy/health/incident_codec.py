"""How incidents, and what is remembered of a watch, are stored: as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from deploy.health.incidents import Incident, Member, MemberChange, WatchedIncident


def watch_to_mapping(watch: WatchedIncident) -> dict[str, Any]:
    """What is stored: JSON-able."""
    return dataclasses.asdict(watch)


def watch_from_mapping(data: Mapping[str, Any]) -> WatchedIncident:
    """What `watch_to_mapping` wrote."""
    incidents = tuple(incident_from_mapping(incident) for incident in data["incidents"])
    return WatchedIncident(data["seen"], data["gone"], incidents)


def incident_to_mapping(incident: Incident) -> dict[str, Any]:
    """What is stored: JSON-able."""
    return dataclasses.asdict(incident)


def incident_from_mapping(data: Mapping[str, Any]) -> Incident:
    """What `incident_to_mapping` wrote."""
    if "replies" in data:
        return _first_form(data)
    members = {ref: Member(**member) for ref, member in data["members"].items()}
    changes = tuple(MemberChange(**change) for change in data["changes"])
    return Incident(**{**data, "members": members, "changes": changes})


def _first_form(data: Mapping[str, Any]) -> Incident:
    """The first form of the record also held what was posted, and the changes not posted yet: the
    message's own record holds that today."""
    kept = {name: data[name] for name in data.keys() - {"told", "message", "attempts", "replies"}}
    changes = [{**_change(reply), "version": data["version"]} for reply in data["replies"]]
    return incident_from_mapping({**kept, "changes": changes})


def _change(reply: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """What was stored as one text begins with kind and subject; of the rest nothing is read."""
    if isinstance(reply, str):
        kind, subject, *_ = reply.split(" ")
        return {"kind": kind, "subject": subject}
    return reply
