"""Each verb as it is usually typed and decided on, and as it is most often mistyped.

`{gateway}` is one of whoever types, as are `{old}` and `{kept}`, which others deployed, `{made}` in
production, and `{id}`, the request that `before` brought about.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`shows` is in the answer to `usual`; `press` are the buttons by which it is decided then, and
    `ends` is in the same message at last. `mistake` is answered with `told`. All are patterns."""

    usual: str
    shows: str
    mistake: str
    told: str
    press: tuple[str, ...] = ()
    ends: str = ""
    before: str = ""
    """What a member asks for first; it waits for its decision, or runs without an end."""
    runs: bool = False
    """Whether what was asked for before is confirmed, and hangs."""
    approver: bool = False


_DONE = "✅"
_PRODUCTION = "deploy {gateway} --to west/prod --tag 2.11.2 --replicas 2"

ROWS: dict[str, Row] = {
    "deploy": Row(
        "deploy {gateway} --to west/dev --tag 2.11.1 --replicas 2",
        "Deploy {gateway}",
        "deploy {gateway} --to west/dev --tag 9.9.9",
        r"9\.9\.9",
        ("Confirm",),
        _DONE,
    ),
    "status": Row("status {gateway}", "{gateway} on west/dev", "status {gateway}x", "{gateway}x"),
    "list": Row("list", "{gateway}", "list --wide", "--wide"),
    "logs": Row("logs {gateway}", "Logs of {gateway}", "logs", "logs"),
    "regenerate-key": Row(
        "regenerate-key {gateway} --key secondary",
        "{gateway}",
        "regenerate-key {gateway}",
        "--key",
        ("Cancel",),
        "Cancelled",
    ),
    "rotate": Row("rotate {gateway}", "{gateway}", "rotate", "gateway", ("Confirm",), _DONE),
    "manage-token": Row(
        "manage-token {kept}",
        "{kept}",
        "manage-token",
        "manage-token",
        ("Confirm",),
        "no pod reads",
    ),
    "adopt": Row("adopt {old}", "Adopt {old}", "adopt {old}x", "{old}x", ("Confirm",), _DONE),
    "expiring": Row("expiring", "expire", "expiring --soon", "--soon"),
    "scale": Row(
        "scale {gateway} --replicas 3",
        "Scale {gateway}",
        "scale {gateway} --replicas three",
        "three",
        ("Confirm",),
        _DONE,
    ),
    "restart": Row(
        "restart {gateway}",
        "Restart {gateway}",
        "restart {gateway}x",
        "{gateway}x",
        ("Confirm",),
        _DONE,
    ),
    "rollback": Row(
        "rollback {gateway}",
        "Roll back {gateway}",
        "rollback {gateway} --to-revision 99",
        "99",
        ("Confirm",),
        _DONE,
    ),
    "history": Row("history {gateway}", "{gateway}", "history {gateway}x", "{gateway}x"),
    "diff": Row("diff {gateway}", "{gateway}", "diff", "diff"),
    "check": Row("check {gateway}", "{gateway}", "check", "check"),
    "export": Row("export {gateway}", "{gateway}", "export", "export"),
    "pending": Row("pending", "{id}", "pending --mine", "--mine", before=_PRODUCTION),
    "approve": Row(
        "approve {id}", "{gateway}", "approve ABCDEF", "ABCDEF", before=_PRODUCTION, approver=True
    ),
    "deny": Row(
        "deny {id} --reason later",
        "{id}|{gateway}",
        "deny ABCDEF",
        "ABCDEF",
        before=_PRODUCTION,
        approver=True,
    ),
    "cancel": Row("cancel {id}", "{id}|{gateway}", "cancel ABCDEF", "ABCDEF", before=_PRODUCTION),
    "stop": Row(
        "stop {id}",
        "{id}|{gateway}",
        "stop ABCDEF",
        "ABCDEF",
        before="deploy {gateway} --to east/dev --tag 2.11.2 --replicas 1",
        runs=True,
    ),
    "window": Row(
        "window west/prod/{made} --for @{member} --minutes 10 --reason test",
        "{made}",
        "window {gateway} --for @{member}",
        "{gateway}|production",
        approver=True,
    ),
    "tags": Row("tags", "2.12.1", "tags --newest", "--newest"),
    "whoami": Row("whoami", "What you may do", "whoami ana", "ana"),
    "help": Row("help scale", "scale", "help scael", "scael"),
    "delete": Row(
        "delete west/dev/{gateway}",
        "Delete {gateway}",
        "delete {gateway}x",
        "{gateway}x",
        ("Cancel",),
        "Cancelled",
    ),
}
