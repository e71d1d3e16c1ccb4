"""The command line: run the bot, check and install it, and look after what it keeps."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.problems import UnusableSettings
from deploy.errors import GatewayBotError, NotFound


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with a sentence on standard error, or 2 where
    the command line or the settings cannot be used."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        # Each command imports what it needs when it runs: `--help` must answer at once.
        return int(_COMMANDS[options.command](options))
    except UnusableSettings as error:
        print(f"gateway-bot: {error}", file=sys.stderr)
        return 2
    except GatewayBotError as error:
        print(f"gateway-bot: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough; what is buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway-bot",
        description="A Slack bot that deploys and operates Azure API Management "
        "self-hosted gateways on Kubernetes.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser("run", help="run the bot")
    check = commands.add_parser(
        "check", help="check the connections and permissions the settings need"
    )
    for command in (run, check):
        command.add_argument(
            "--config", type=path, default=Path("gateway-bot.yaml"), help="the settings file"
        )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    run.add_argument(
        "--log-format",
        default="text",
        choices=("text", "json"),
        help="one event a line, or for people",
    )
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    _add_installing(commands)
    render = commands.add_parser("render", help="print the manifests of a gateway")
    render.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the gateway's spec")
    audit = commands.add_parser("audit", help="verify or print the audit trail")
    trail = audit.add_subparsers(dest="audit", required=True, metavar="COMMAND")
    verify = trail.add_parser("verify", help="find entries that were changed or are missing")
    export = trail.add_parser("export", help="print its entries as JSON lines")
    for command in (verify, export):
        command.add_argument(
            "--config", type=path, default=Path("gateway-bot.yaml"), help="the settings file"
        )
    verify.add_argument(
        "--file",
        type=Path,
        action="append",
        default=[],
        help="the standard output of a bot; once for each replica",
    )
    export.add_argument(
        "--gateway", default="", help="only of this one: [[CLUSTER/]NAMESPACE/]NAME"
    )
    export.add_argument("--since", default="", help="from this moment on: 2026-11-23T15:04Z, or 7d")
    export.add_argument("--until", default="", help="before this moment, as above")
    _add_admin(commands)
    demo = commands.add_parser(
        "demo", help="run the bot on this machine with a simulated Slack, Azure and clusters"
    )
    demo.add_argument(
        "--port", type=port, default=3000, help=("port of the page; 0 picks a free one")
    )
    demo.add_argument(
        "--data", type=Path, help=("keep all data in this directory, and resume from it")
    )
    demo.add_argument("--no-open", action="store_true", help="do not open the browser")
    demo.add_argument("--kubeconfig", type=Path, help="use these clusters instead of emulated ones")
    demo.add_argument(
        "--slack-mode", choices=("socket", "http"), default="socket", help="how Slack delivers"
    )
    demo.add_argument(
        "--world",
        type=Path,
        help=("file that describes the demo's people and gateways: docs/demo.md"),
    )
    return parser


class _Version(argparse.Action):
    """Prints the version. It is looked up only then: `--help` must answer at once."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from bot.version import version

        print(f"gateway-bot {version()}")
        parser.exit()


def _add_installing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What prints what somebody needs to install the bot: docs/install.md."""
    manifest = commands.add_parser("k8s-manifest", help="print what `kubectl apply` needs")
    manifest.add_argument("--namespace", type=given, default="gateway-bot", help="where it runs")
    manifest.add_argument(
        "--image", type=given, help="image of the bot (default: gateway-bot at this version)"
    )
    manifest.add_argument("--replicas", type=int, default=2)
    manifest.add_argument(
        "--secret", type=given, default="gateway-bot", help="the Secret with the tokens"
    )
    manifest.add_argument("--secrets", choices=("env", "files"), default="env",
                          help="as variables, or as files, whose changes need no restart")  # fmt: skip
    manifest.add_argument(
        "--host", type=given, help="host name of an Ingress for Slack and Event Grid"
    )
    manifest.add_argument("--ingress-class", type=given, help="the class of that Ingress")
    manifest.add_argument("--gateway-namespace", type=given, action="append", default=[], metavar="NAME",
                          help="namespace with gateways, if the settings do not name it")  # fmt: skip
    manifest.add_argument("--redis-port", type=port, action="append", default=[], metavar="PORT",
                          help="of Redis, where the settings do not name it")  # fmt: skip
    manifest.add_argument("--egress-port", type=port, action="append", default=[], metavar="PORT",
                          help="a further port that the bot may connect to")  # fmt: skip
    manifest.add_argument(
        "--cluster", type=given, metavar="NAME", help="print the rights on this cluster alone"
    )
    manifest.add_argument(
        "--user", type=given, help="who the bot is on that cluster, if not a ServiceAccount"
    )
    role = commands.add_parser("azure-role", help="print the role for Azure, and its `az` commands")
    role.add_argument("--json", action="store_true", help="print the role alone")
    for command in (manifest, role):
        command.add_argument(
            "--config", type=path, default=Path("gateway-bot.yaml"), help="the settings file"
        )
    slack = commands.add_parser("slack-manifest", help="print the manifest of the Slack app")
    slack.add_argument("--config", type=path, help="the settings file, for mode and command")
    slack.add_argument("--mode", choices=("socket", "http"), help="how Slack delivers")
    slack.add_argument("--url", type=given, help="where it delivers in HTTP mode")
    acl = commands.add_parser("redis-acl", help="print the user that the bot needs of Redis")
    acl.add_argument("--replicas", action="store_true", help="Redis has replicas")
    acl.add_argument("--cluster", action="store_true", help="Redis is a cluster")
    acl.add_argument("--admin", action="store_true", help="the user for `admin messages`")


def _add_admin(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    admin = commands.add_parser("admin", help="pause and resume actions; look after what is stuck")
    parts = admin.add_subparsers(dest="admin", required=True, metavar="COMMAND")
    actions = parts.add_parser("actions", help="list the actions that have not ended")
    show = parts.add_parser("show", help="print one action: its state, holder and log")
    end = parts.add_parser("end", help="end a running action that no longer ends")
    leases = parts.add_parser("leases", help="list who holds the Lease of each gateway")
    messages = parts.add_parser("messages", help="list messages that do not show what they should")
    repost = parts.add_parser("repost-message", help="try to post one of them again")
    drop = parts.add_parser("drop-message", help="stop trying to post one of them")
    pause = parts.add_parser("pause", help="have no action start on a cluster or in an environment")
    resume = parts.add_parser("resume", help="have actions start there again")
    paused = parts.add_parser("list", help="list what is paused")
    for command in (actions, show, end, leases, messages, repost, drop, pause, resume, paused):
        command.add_argument(
            "--config", type=path, default=Path("gateway-bot.yaml"), help="the settings file"
        )
    for command in (show, end):
        command.add_argument("id", metavar="ID", help="of the action, as Slack shows it")
    for command in (repost, drop):
        command.add_argument("name", metavar="MESSAGE", help="as `admin messages` lists it")
        command.add_argument("--reason", required=True, help="why, for the audit trail")
    for command in (pause, resume):
        where = command.add_mutually_exclusive_group(required=True)
        where.add_argument("--cluster", default="", metavar="NAME", help="as the settings name it")
        where.add_argument("--environment", default="", metavar="NAME", help="likewise")
    pause.add_argument("--reason", required=True, help="why, for Slack and the audit trail")
    resume.add_argument("--reason", default="", help="why, for the audit trail")
    pause.add_argument(
        "--until", default="", help="when it ends automatically: 2026-11-23T15:04Z, or 2h"
    )
    for command in (end, repost, drop, pause, resume):
        command.add_argument(
            "--by",
            default="",
            metavar="NAME",
            help="who you are, for the audit trail; required where your login does not say so",
        )
    actions.add_argument("--stuck", action="store_true", help="only those that no bot works on")
    end.add_argument("--reason", required=True, help="why, for its message and the audit trail")
    end.add_argument(
        "--as",
        dest="state",
        default="unknown",
        choices=("unknown", "failed"),
        help="use `failed` only if you checked that nothing of it still runs",
    )
    end.add_argument(
        "--even-held", action="store_true", help="also while a bot holds it, which then lets go"
    )


def given(text: str) -> str:
    """A value that is there: in `--image "$IMAGE"` the variable may not be set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "is given without a value; is the variable set in this shell?"
        )
    return text


def path(text: str) -> Path:
    """A file's; an empty one would be the current directory."""
    return Path(given(text))


def port(text: str) -> int:
    """A port of the machine; argparse says “invalid port value” of what is not a number."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port; ports end at 65535")
    return number


def _run(options: argparse.Namespace) -> int:
    from bot.run import run

    return run(options.config, options.log_level, options.log_format)


def _check(options: argparse.Namespace) -> int:
    from bot.checks import check

    return check(options.config, as_json=options.json)


def _k8s_manifest(options: argparse.Namespace) -> int:
    from bot.install.installation import Installation
    from bot.install.manifest import print_manifest
    from bot.version import version

    installation = Installation(
        image=options.image or f"gateway-bot:{version()}",
        namespace=options.namespace,
        replicas=options.replicas,
        secret=options.secret,
        secrets=options.secrets,
        host=options.host,
        ingress_class=options.ingress_class,
        gateway_namespaces=tuple(options.gateway_namespace),
        redis_ports=tuple(options.redis_port),
        egress_ports=tuple(options.egress_port),
    )
    return print_manifest(options.config, installation, options.cluster, options.user)


def _azure_role(options: argparse.Namespace) -> int:
    from bot.install.azure_role import print_role

    return print_role(options.config, only_role=options.json)


def _slack_manifest(options: argparse.Namespace) -> int:
    from bot.install.slack_app import print_slack_manifest

    return print_slack_manifest(options.config, options.mode, options.url)


def _redis_acl(options: argparse.Namespace) -> int:
    from bot.install.redis_acl import acl

    print(acl(replicas=options.replicas, cluster=options.cluster, admin=options.admin))
    return 0


def _render(options: argparse.Namespace) -> int:
    from bot.render import render

    return render(options.spec)


def _audit(options: argparse.Namespace) -> int:
    from bot.audit import export, verify

    if options.audit == "export":
        return export(options.config, options.gateway, options.since, options.until)
    return verify(options.config, options.file)


def _admin(options: argparse.Namespace) -> int:
    from bot import admin, pausing

    if options.admin == "pause":
        return pausing.pause(
            options.config,
            cluster=options.cluster,
            environment=options.environment,
            reason=options.reason,
            until=options.until,
            by=options.by,
        )
    if options.admin == "resume":
        return pausing.resume(
            options.config,
            cluster=options.cluster,
            environment=options.environment,
            reason=options.reason,
            by=options.by,
        )
    if options.admin == "list":
        return pausing.listing(options.config)
    if options.admin == "actions":
        return admin.actions(options.config, stuck=options.stuck)
    if options.admin == "show":
        return admin.show(options.config, options.id)
    if options.admin == "end":
        return admin.end(
            options.config,
            options.id,
            options.state,
            options.reason,
            by=options.by,
            even_held=options.even_held,
        )
    if options.admin == "messages":
        return admin.messages(options.config)
    if options.admin == "repost-message":
        return admin.repost(options.config, options.name, options.reason, by=options.by)
    if options.admin == "drop-message":
        return admin.drop(options.config, options.name, options.reason, by=options.by)
    return admin.leases(options.config)


def _demo(options: argparse.Namespace) -> int:
    try:
        from bot.demo import demo
    except ModuleNotFoundError as error:
        raise NotFound(
            f"The demo is not installed here: {error.name} is missing.",
            remedy="Install it with: pip install 'gateway-bot[sandbox]'",
        ) from error

    return demo(
        port=options.port,
        data=options.data,
        open_browser=not options.no_open,
        kubeconfig=options.kubeconfig,
        slack_mode=options.slack_mode,
        world=options.world,
    )


_COMMANDS = {
    "run": _run,
    "check": _check,
    "k8s-manifest": _k8s_manifest,
    "azure-role": _azure_role,
    "slack-manifest": _slack_manifest,
    "redis-acl": _redis_acl,
    "render": _render,
    "audit": _audit,
    "admin": _admin,
    "demo": _demo,
}

if __name__ == "__main__":
    sys.exit(main())
