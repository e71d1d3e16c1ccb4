"""The command line: `gateway-bot run`, `check`, `render`, `audit` and `demo`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import GatewayBotError, NotFound


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with a sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        # Each command imports what it needs when it runs: `--help` must answer at once.
        return int(_COMMANDS[options.command](options))
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the bot")
    check = commands.add_parser("check", help="test each connection in the settings")
    for command in (run, check):
        command.add_argument(
            "--config", type=Path, default=Path("gateway-bot.yaml"), help="the settings file"
        )
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    render = commands.add_parser("render", help="print the manifests of a gateway")
    render.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the gateway's spec")
    audit = commands.add_parser("audit", help="verify the audit trail")
    verify = audit.add_subparsers(dest="audit", required=True, metavar="COMMAND").add_parser(
        "verify", help="find entries that were changed"
    )
    verify.add_argument(
        "--config", type=Path, default=Path("gateway-bot.yaml"), help="the settings file"
    )
    verify.add_argument(
        "--file", type=Path, help="check the bot's standard output from this file instead of Redis"
    )
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


def port(text: str) -> int:
    """A port of the machine; argparse says “invalid port value” of what is not a number."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port; ports end at 65535")
    return number


def _run(options: argparse.Namespace) -> int:
    from bot.run import run

    return run(options.config, options.log_level)


def _check(options: argparse.Namespace) -> int:
    from bot.checks import check

    return check(options.config)


def _render(options: argparse.Namespace) -> int:
    from bot.render import render

    return render(options.spec)


def _audit(options: argparse.Namespace) -> int:
    from bot.audit import verify

    return verify(options.config, options.file)


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


_COMMANDS = {"run": _run, "check": _check, "render": _render, "audit": _audit, "demo": _demo}

if __name__ == "__main__":
    sys.exit(main())
