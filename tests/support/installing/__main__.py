"""The demo around a bot that is installed: what `k8s-manifest` prints is applied to the demo's cluster, and the
container of its Deployment runs here as a process.

`CLUSTER` names the administrator's kubeconfig, `SECRETS` is how the bot is given its Secret.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import yaml

from bot.demo import demo
from bot.install.installation import APP
from bot.install.secret_needs import secret_needs
from bot.settings import load_settings
from tests.bot.install.settings_of import IMAGE
from tests.support.containers import Cluster, start_of
from tests.support.kube_api import KubeApi
from tests.support.kubectl import Kubectl
from tests.support.limited_bot import HOME

_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{HOME}/deployments/{APP}"


def _install(api: KubeApi, kubectl: Kubectl, config: Path, environment: Mapping[str, str]) -> None:
    """As docs/install.md has it: the namespace, the Secret, and what is printed for the settings."""
    metadata = {"name": HOME, "labels": _RESTRICTED}
    api.create("/api/v1/namespaces", {"metadata": metadata})
    needs = [need.variable for need in secret_needs(load_settings(config)) if need.required]
    secret = {"metadata": {"name": APP}, "stringData": {name: environment[name] for name in needs}}
    api.create(f"/api/v1/namespaces/{HOME}/secrets", secret)
    printed = subprocess.run(
        [
            *(sys.executable, "-m", "bot", "k8s-manifest", "--config", str(config)),
            *("--image", IMAGE, "--namespace", HOME, "--gateway-namespace", "dev"),
            *("--secrets", environment["SECRETS"]),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    kubectl("apply", "--server-side", "-f", "-", given=printed.stdout)
    # Its only pod is the process here.
    kubectl("scale", "-n", HOME, f"deployment/{APP}", "--replicas=0")


def run(config: Path) -> NoReturn:
    """Install it if it is not, and become the container's process."""
    given = Path(os.environ["CLUSTER"])
    kept = Path(tempfile.mkdtemp(prefix="container-", dir=config.parent))
    api, kubectl = KubeApi(given), Kubectl(given, kept)
    if api.gone(_DEPLOYMENT):
        _install(api, kubectl, config, os.environ)
    server = urlsplit(yaml.safe_load(given.read_text())["clusters"][0]["cluster"]["server"])
    ca = api.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
    cluster = Cluster(api, HOME, str(server.hostname), int(server.port or 443), ca.encode())
    pod = api.get(_DEPLOYMENT)["spec"]["template"]["spec"]
    trusted = Path(os.environ["REQUESTS_CA_BUNDLE"]).read_bytes()
    bot = [sys.executable, "-m", "bot"]
    start_of(pod, cluster, bot, kept / "container", trusted)()


def main() -> None:
    """`run --config PATH …`, or `demo …` as tests/support/demo.py starts it."""
    verb, *options = sys.argv[1:]

    def option(name: str) -> str:
        return options[options.index(name) + 1]

    if verb == "run":
        run(Path(option("--config")))
    demo(
        port=0,
        data=Path(option("--data")),
        open_browser=False,
        kubeconfig=Path(option("--kubeconfig")),
        slack_mode=option("--slack-mode"),
        world=Path(option("--world")),
        program="tests.support.installing",
    )


if __name__ == "__main__":
    main()
