"""`gateway-bot audit`: what was changed in the audit trail or is missing from it, and its entries.

How far the trail had come is also known outside Redis: by the Leases of gateways, and by what bots
wrote to standard output. Where Redis was lost, those say that entries are missing.
"""

import datetime
import itertools
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.clients import audit_annotation, audit_key, clusters_of, redis_of
from bot.settings import Secrets, Settings, load_all
from deploy.actions.audit import AuditLog, Sealed, faults, read_lines
from deploy.actions.audit_heads import Head, between, gaps, head_of, merged, missing, parts
from deploy.actions.audit_index import ref_of
from deploy.actions.fencing import Fences
from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from deploy.kube.cluster import Cluster
from deploy.observed import inventory
from deploy.times import epoch

_LENGTH = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass
class _Report:
    """What a look through the trail came to, in words."""

    changed: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def print(self, count: int, compared: int, annotation: str) -> int:
        """Print it; the exit status. `annotation` is where Leases have the trail's newest entry."""
        for word, lines in (
            ("CHANGED", self.changed),
            ("MISSING", self.gaps),
            ("SHORTER", self.missing),
            ("UNREAD", self.unread),
        ):
            for line in lines:
                print(f"{word:<8} {line}")
        if self.missing and compared:
            print(f"{'':<8} Leases record the newest entry in the annotation {annotation}")
        if self.changed or self.gaps or self.missing:
            more = len(self.gaps) + len(self.missing)
            print(f"{count} entries, {len(self.changed)} changed, {more} signs of missing entries")
            return 1
        if not count and self.unread:
            print("0 entries; some records that could show missing entries could not be read")
            return 1
        if not count and not compared:
            print("0 entries, and nothing outside Redis has recorded any")
            return 0
        told = f"; compared with {compared} records outside Redis" if compared else ""
        print(f"{count} entries, nothing wrong{told}")
        return 0


def verify(config: Path, files: Sequence[Path] = ()) -> int:
    """Check the chain in Redis against itself and what is known of it elsewhere, or that of `files`.

    Prints what is wrong, a line each; 0 when nothing is. Lines older than the retention may be
    missing from the front of files: their first entry is taken as the start.
    """
    settings, secrets = load_all(config)
    report, annotation = _Report(), audit_annotation(secrets)
    lines = read_lines(line for path in files for line in _text(path).splitlines())
    # Before Redis: it may only have come further since.
    heads = dict(_heads(settings, annotation, report))
    log = _log(settings, secrets)
    try:
        stored = log.stored()
    except Unavailable as error:
        if not files:
            raise
        report.unread.append(f"Redis: {error.happened}")
        stored = None
    written = merged([*lines, *between(lines, stored.entries if stored else ())])
    _look_through(written, audit_key(secrets), report)
    if written and (newest := head_of(written[-1])):
        heads["the file" if len(files) == 1 else "one of the files"] = newest
    count = sum(map(len, written))
    if stored is not None:
        entries, found = log.verify(stored)
        report.changed += found
        report.missing += missing(stored, heads)
        count = count if files else entries
    return report.print(count, len(heads), annotation)


def _look_through(written: Sequence[Sequence[Sealed]], key: bytes, report: _Report) -> None:
    """What is wrong with, and missing from, what files have as one trail, or several."""
    for place, whole in enumerate(written):
        report.gaps += gaps(whole)
        for at, part in enumerate(parts(whole)):
            report.changed += faults(part, start="" if place and not at else None, key=key)
    for earlier, later in itertools.pairwise(written):
        ended, again = head_of(earlier), head_of(later[:1])
        if ended and again:
            report.missing.append(
                f"the trail was begun anew at {_moment(later[0])}, after entry {ended.n}: Redis had "
                "lost it"
            )


def export(config: Path, gateway: str = "", since: str = "", until: str = "") -> int:
    """Print entries as JSON lines, oldest first: the same as went to standard output, with the time
    in words of RFC 3339. Without a filter `audit verify --file` can check what was printed."""
    log = _log(*load_all(config))
    now = time.time()
    first, last = moment_of("since", since, now), moment_of("until", until, now)
    for each in log.stored().entries:
        at = _at(each)
        if (first is not None and at < first) or (last is not None and at >= last):
            continue
        if gateway and not _is_about(each.text, gateway):
            continue
        print(f'{{"audit":{each.text},"hash":"{each.hash}","time":"{_moment(each)}"}}')
    return 0


def _log(settings: Settings, secrets: Secrets) -> AuditLog:
    return AuditLog(redis_of(settings, secrets)(), key=audit_key(secrets))


def _heads(settings: Settings, annotation: str, report: _Report) -> Iterator[tuple[str, Head]]:
    """How far the trail had come by the Leases of gateways."""
    clusters = clusters_of(settings)
    for name, cluster in clusters.items():
        try:
            yield from _heads_on(name, cluster, annotation, report)
        except GatewayBotError as error:
            report.unread.append(f"cluster {name}: {error.happened}")
        finally:
            cluster.close()


def _heads_on(
    name: str, cluster: Cluster, annotation: str, report: _Report
) -> Iterator[tuple[str, Head]]:
    fences = Fences({name: cluster}, annotation=annotation)
    found = cluster.everywhere("Deployment")
    report.unread += (f"cluster {name}: {why}" for why in found.refused)
    for deployment in found.items:
        if inventory.is_gateway(deployment):
            ref = inventory.ref_of(name, deployment)
            try:
                head = fences.head(ref)
            except GatewayBotError as error:
                report.unread.append(f"the Lease of {ref}: {error.happened}")
                continue
            if head is not None:
                yield f"the Lease of {ref}", head


def _is_about(text: str, gateway: str) -> bool:
    ref = ref_of(text)
    return ref == gateway or ref.endswith(f"/{gateway}")


def moment_of(name: str, text: str, now: float, *, ahead: bool = False) -> float | None:
    """What was given for that option, in epoch seconds: a moment, or so long before now, after it with
    `ahead`. None where nothing was given; InvalidInput for what is neither."""
    if not text:
        return None
    if length := _LENGTH.fullmatch(text):
        seconds = int(length[1]) * _UNITS[length[2]]
        return now + seconds if ahead else now - seconds
    moment = epoch(text)
    if moment is None:
        raise InvalidInput(
            f"“{text[:40]}” is not a moment.",
            field=f"--{name}",
            remedy="Write one like 2026-11-23, 2026-11-23T15:04Z, or "
            + ("2h for two hours from now." if ahead else "7d for seven days ago."),
        )
    return moment


def _at(each: Sealed) -> float:
    try:
        return float(json.loads(each.text)["at"])
    except (ValueError, KeyError, TypeError):
        return 0.0


def _moment(each: Sealed) -> str:
    moment = datetime.datetime.fromtimestamp(_at(each), datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read.", remedy=("Pass another file with --file.")
        ) from error
