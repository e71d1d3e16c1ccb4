"""A cluster whose gateways talk to the sandbox's Azure, and all that rotates their tokens."""

import base64
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from bot.sandbox.node import Node
from deploy.actions.action import Action, Outcome, State
from deploy.azure import ApimInstance, ArmClient
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.pods import token_secret_of
from deploy.observed.token_facts import secret_facts
from deploy.plans.planning import Planner
from deploy.plans.requests import RotateRequest
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.rollouts.rotator import Rotator
from deploy.rollouts.verification import Observing
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import SecretFacts
from tests.support.actions import replanning, workings
from tests.support.azure import OWNER, SUBSCRIPTION, AzureBed
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import HOST, TIMEOUTS, RecordingRun, action_for
from tests.support.loops import running
from tests.support.running_cluster import RunningCluster

TIME_SCALE = 0.05
INSTANCE = ApimInstance("contoso", SUBSCRIPTION, "rg-apim", "contoso", HOST)
OTHER = ApimInstance("fabrikam", SUBSCRIPTION, "rg-apim", "fabrikam", HOST)
"""Another API Management instance with a gateway `edge-1`, whose tokens `contoso` refuses."""
OBSERVING = Observing(quiet=1.2, patience=6.0, look=0.2)
# The shortest deadline a spec may have is 30 s; these tests give up after fifteen.
MARGIN = -15.0


class RotationBed:
    """Deploys one gateway and rotates its token, as executors do."""

    def __init__(
        self,
        cluster: Cluster,
        azure: AzureBed,
        nodes: Callable[[str, Any], None],
        spec: GatewaySpec,
        kubeconfig: Path,
        context: str,
        *,
        sandbox: RunningCluster | None = None,
        margin: float = MARGIN,
        patience: float = 1.0,
    ) -> None:
        self.sandbox = sandbox
        self.cluster = cluster
        self.azure = azure
        self.nodes = nodes
        self.spec = spec
        self.kubeconfig, self.context = kubeconfig, context
        session = requests.Session()
        # Else requests gives REQUESTS_CA_BUNDLE priority over the session's own setting.
        session.trust_env = False
        session.verify = str(azure.authority.ca_pem_path)
        self.arm = ArmClient(session, azure.credential(OWNER), endpoint=azure.azure.url)
        self.instances = {"contoso": INSTANCE}
        self.planner = Planner({"west": cluster}.__getitem__, list, instances=self.instances)
        clusters = {"west": cluster}
        self.workings = workings(planner=self.planner, clusters=clusters)
        self.replan = replanning(self.planner, clusters)
        applier = Applier(clusters, Minter(self.arm, self.instances, LocalCustody()))
        # A deployment is what a rotation begins from, so it is never given up on early.
        self.deployer = Deployer(applier, self.replan, patience=patience)
        self.rotator = self.rotating(applier, observing=OBSERVING, patience=patience, margin=margin)
        self._numbers = itertools.count()

    @property
    def ref(self) -> GatewayRef:
        """Where the gateway runs."""
        return self.spec.ref

    def deploy(self, spec: GatewaySpec | None = None) -> Outcome:
        """Deploy it, to the end."""
        new_id = self.new_id()
        plan = self.planner.plan(spec or self.spec, new_id)
        return self.deployer.execute(action_for(plan, new_id), RecordingRun())

    def new_id(self) -> str:
        """The id of the next action."""
        return f"ABC{next(self._numbers)}"

    def decided(self, rotation: Rotation | None = None, *, id: str = "", **changes: Any) -> Action:
        """A rotation that was planned and decided on."""
        asked, new_id = rotation or Rotation(), id or self.new_id()
        request = RotateRequest(self.ref, asked)
        plan = self.workings["rotate"].plan(request, new_id)
        return action_for(plan, new_id, kind="rotate", request=request, **changes)

    def rotating(self, applier: Applier, **options: Any) -> Rotator:
        """What carries rotations out with that applier."""
        return Rotator(applier, self.replan, **options)

    def rotate(self, rotation: Rotation | None = None, run: RecordingRun | None = None) -> Outcome:
        """Plan, decide and carry out."""
        return self.rotator.execute(self.decided(rotation), run or RecordingRun())

    def secrets(self) -> set[str]:
        """The names of the Secrets in the gateway's namespace."""
        found = self.cluster.list("Secret", self.ref.namespace)
        return {item["metadata"]["name"] for item in found}

    def pods(self) -> set[str]:
        """The names of the gateway's pods that are not ending."""
        found = self.cluster.list("Pod", self.ref.namespace, label_selector=f"app={self.ref.name}")
        living = [item for item in found if not item["metadata"].get("deletionTimestamp")]
        return {item["metadata"]["name"] for item in living}

    def in_use(self) -> SecretFacts:
        """What the Secret that the Deployment names tells."""
        deployment = self.cluster.get("Deployment", self.ref.namespace, self.ref.name)
        assert deployment is not None
        used = token_secret_of(deployment["spec"]["template"]["spec"])
        assert used is not None
        secret = self.cluster.get("Secret", self.ref.namespace, used[0])
        assert secret is not None
        return secret_facts(secret)

    def token(self, name: str) -> str:
        """The token's text in a Secret, as pods are given it."""
        secret = self.cluster.get("Secret", self.ref.namespace, name)
        assert secret is not None
        return base64.b64decode(secret["data"]["value"]).decode()

    def mint_elsewhere(self) -> None:
        """From now on tokens are minted at the other instance, so that Azure refuses them."""
        self.instances["contoso"] = OTHER

    def mint_right(self) -> None:
        """Tokens are minted where they belong."""
        self.instances["contoso"] = INSTANCE


def spec_of(namespace: str = "dev", **changes: Any) -> GatewaySpec:
    """A gateway whose rollouts are given up on soon."""
    fields: dict[str, Any] = {
        "ref": GatewayRef("west", namespace, "edge-1"),
        "apim": ApimGateway("contoso", "edge-1", HOST),
        "tag": "2.11.1",
        "replicas": 2,
        "cpu": "500m",
        "memory": "256Mi",
        "service_type": "ClusterIP",
        "rollout": Rollout(progress_deadline=30),
    }
    return GatewaySpec(**{**fields, **changes})


def hosts_of(azure: AzureBed) -> dict[str, str]:
    """What stands in for DNS where gateways are to find that Azure."""
    return {HOST: azure.azure.configuration_url, "login.microsoftonline.com": azure.azure.url}


@contextlib.contextmanager
def nodes_of(
    kubeconfig: Path, azure: AzureBed, time_scale: float
) -> Iterator[Callable[[str, Any], None]]:
    """Nodes of `west` whose gateways find that Azure; what is given moves a fault switch."""
    node = Node(
        kubeconfig=kubeconfig,
        context="west",
        hosts=hosts_of(azure),
        tls=azure.authority.server_context(),
        ca_pem=azure.authority.ca_pem,
        startup_seconds=0.05,
        time_scale=time_scale,
    )
    with running(node) as run:

        def move(switch: str, value: Any) -> None:
            async def work() -> None:
                node.faults.set(switch, value)

            run(work())

        yield move


@contextlib.contextmanager
def rotation_bed(directory: Path, spec: GatewaySpec | None = None) -> Iterator[RotationBed]:
    """The sandbox's cluster and Azure, with the gateway deployed."""
    azure = AzureBed(directory)
    with (
        running(azure.azure),
        RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as sandbox,
        nodes_of(sandbox.kubeconfig(), azure, TIME_SCALE) as move,
    ):
        cluster = connect("west", kubeconfig=sandbox.kubeconfig(), timeouts=TIMEOUTS)
        bed = RotationBed(
            cluster,
            azure,
            move,
            spec or spec_of(),
            sandbox.kubeconfig(),
            "west",
            sandbox=sandbox,
        )
        try:
            outcome = bed.deploy()
            assert outcome.state is State.SUCCEEDED, outcome
            yield bed
        finally:
            cluster.close()
