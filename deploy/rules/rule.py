"""What a rule is, and the pages that rules are taken from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.rules.view import GatewayView

Severity = Literal["info", "warning", "deny"]

_LEARN = "https://learn.microsoft.com/azure/api-management/"
_KUBERNETES = "https://kubernetes.io/docs/"
_ISSUES = "https://github.com/Azure/api-management-self-hosted-gateway/issues/"

PRODUCTION = _LEARN + "how-to-self-hosted-gateway-on-kubernetes-in-production"
SETTINGS = _LEARN + "self-hosted-gateway-settings-reference"
SUPPORT = _LEARN + "self-hosted-gateway-support-policies"
OVERVIEW = _LEARN + "self-hosted-gateway-overview"
MIGRATION = _LEARN + "self-hosted-gateway-migration-guide"
ENTRA = _LEARN + "self-hosted-gateway-enable-azure-ad"
WORKLOAD_IDENTITY = _LEARN + "self-hosted-gateway-enable-workload-identity"
TOKEN = "https://learn.microsoft.com/rest/api/apimanagement/gateway/generate-token"
DEPLOYMENTS = _KUBERNETES + "concepts/workloads/controllers/deployment/"
POD_LIFE = _KUBERNETES + "concepts/workloads/pods/pod-lifecycle/"
BUDGETS = _KUBERNETES + "tasks/run-application/configure-pdb/"
RESOURCES = _KUBERNETES + "concepts/configuration/manage-resources-containers/"
IMAGES = _KUBERNETES + "concepts/containers/images/"
DNS = _KUBERNETES + "concepts/services-networking/dns-pod-service/"
SERVICES = _KUBERNETES + "tasks/access-application-cluster/create-external-load-balancer/"
POD_SECURITY = _KUBERNETES + "concepts/security/pod-security-standards/"
SECRETS = _KUBERNETES + "concepts/configuration/secret/"
DECLARATIVE = _KUBERNETES + "reference/using-api/server-side-apply/"


def issue(number: int) -> str:
    """An issue of the gateway's own repository."""
    return f"{_ISSUES}{number}"


@dataclass(frozen=True)
class Rule:
    """One line of the table: when it strikes, how badly, and what it says.

    `patch` goes over a spec's mapping and ends the finding; only where it can do no harm. `line` is
    the line of the settings that ends it, or names what was found. What is `binding` no settings of an environment make
    milder: it guards tokens that other environments govern too.
    """

    id: str
    severity: Severity
    in_production: Severity
    strikes: Callable[[GatewayView], bool]
    what: str
    why: str
    fix: str
    source: str
    patch: Mapping[str, Any] | None = None
    line: Callable[[GatewayView], str] | None = None
    binding: bool = False

    def remedy(self, view: GatewayView) -> str:
        """What to do, with the line where there is one."""
        return f"{self.fix} {self.line(view)}" if self.line else self.fix

    def usual(self, production: bool) -> Severity:
        """How badly it strikes where the settings say nothing else."""
        return self.in_production if production else self.severity
