"""Bundles of objects that rules are tried on: what this bot renders, the portal's YAML, and edits."""

import copy
from typing import Any

import yaml

from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.objects import Manifest
from deploy.rendering.manifests import render
from deploy.rules import Facts
from deploy.specs.gateway_spec import GatewaySpec

SPEC = GatewaySpec(
    ref=GatewayRef("west", "prod", "edge-1"),
    apim=ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net"),
    tag="2.12.1",
)
TAGS = ("2.9.0", "2.10.1", "2.11.0", "2.11.1", "2.12.1")
FACTS = Facts(production=True, tags=TAGS)

Bundle = list[Manifest]

PORTAL_V1 = """
apiVersion: v1
kind: ConfigMap
metadata: {name: edge-1-env, namespace: default}
data:
  config.service.endpoint: "https://contoso.management.azure-api.net/subscriptions/s/resourceGroups/\
g/providers/Microsoft.ApiManagement/service/contoso?api-version=2019-12-01"
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge-1, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: edge-1}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}}
  template:
    metadata: {labels: {app: edge-1}}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
      - name: edge-1
        image: mcr.microsoft.com/azure-api-management/gateway:latest
        ports:
        - {name: http, containerPort: 8080}
        - {name: https, containerPort: 8081}
        readinessProbe:
          httpGet: {path: /internal-status-0123456789abcdef, port: http, scheme: HTTP}
          initialDelaySeconds: 0
          periodSeconds: 5
          failureThreshold: 3
          successThreshold: 1
        env:
        - name: config.service.auth
          valueFrom: {secretKeyRef: {name: edge-1-token, key: value}}
        envFrom:
        - configMapRef: {name: edge-1-env}
---
apiVersion: v1
kind: Service
metadata: {name: edge-1, namespace: default}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8081}
  selector: {app: edge-1}
"""
"""The portal's YAML of 2020 and 2021, as users kept it."""

PORTAL_V2 = """
apiVersion: v1
kind: ConfigMap
metadata: {name: edge-1-env, namespace: default, labels: {app: edge-1}}
data:
  config.service.endpoint: contoso.configuration.azure-api.net
  neighborhood.host: edge-1-instance-discovery
  runtime.deployment.artifact.source: Azure Portal
  runtime.deployment.mechanism: YAML
  runtime.deployment.orchestrator.type: Kubernetes
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge-1, namespace: default, labels: {app: edge-1}}
spec:
  replicas: 1
  selector: {matchLabels: {app: edge-1}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}}
  template:
    metadata: {labels: {app: edge-1}}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
      - name: edge-1
        image: mcr.microsoft.com/azure-api-management/gateway:v2
        ports:
        - {name: http, containerPort: 8080}
        - {name: https, containerPort: 8081}
        - {name: rate-limit-dc, containerPort: 4290, protocol: UDP}
        - {name: dc-heartbeat, containerPort: 4291, protocol: UDP}
        readinessProbe:
          httpGet: {path: /status-0123456789abcdef, port: http, scheme: HTTP}
          initialDelaySeconds: 0
          periodSeconds: 5
          failureThreshold: 3
          successThreshold: 1
        env:
        - name: config.service.auth
          valueFrom: {secretKeyRef: {name: edge-1-token, key: value}}
        envFrom:
        - configMapRef: {name: edge-1-env}
---
apiVersion: v1
kind: Service
metadata: {name: edge-1-live-traffic, namespace: default, labels: {app: edge-1}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8081}
  selector: {app: edge-1}
---
apiVersion: v1
kind: Service
metadata: {name: edge-1-instance-discovery, namespace: default, labels: {app: edge-1}}
spec:
  clusterIP: None
  type: ClusterIP
  ports:
  - {name: rate-limit-discovery, port: 4290, protocol: UDP, targetPort: rate-limit-dc}
  - {name: discovery-heartbeat, port: 4291, protocol: UDP, targetPort: dc-heartbeat}
  selector: {app: edge-1}
"""
"""The portal's YAML of today."""

HELM = """
apiVersion: v1
kind: ConfigMap
metadata: {name: gw, namespace: apim, labels: {app.kubernetes.io/managed-by: Helm}}
data:
  config.service.endpoint: contoso.configuration.azure-api.net
  neighborhood.host: gw-instance-discovery
  telemetry.logs.std: text
  telemetry.logs.std.level: info
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gw, namespace: apim, labels: {app.kubernetes.io/managed-by: Helm}}
spec:
  replicas: 3
  selector: {matchLabels: {app.kubernetes.io/name: gw, app.kubernetes.io/instance: r}}
  template:
    metadata: {labels: {app.kubernetes.io/name: gw, app.kubernetes.io/instance: r}}
    spec:
      terminationGracePeriodSeconds: 60
      serviceAccountName: gw
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: ScheduleAnyway
        labelSelector: {matchLabels: {app.kubernetes.io/name: gw}}
      containers:
      - name: azure-api-management-gateway
        image: mcr.microsoft.com/azure-api-management/gateway:2.11.1
        imagePullPolicy: IfNotPresent
        ports:
        - {name: http, containerPort: 8080, protocol: TCP}
        - {name: https, containerPort: 8081, protocol: TCP}
        - {name: rate-limit-dc, containerPort: 4290, protocol: UDP}
        - {name: dc-heartbeat, containerPort: 4291, protocol: UDP}
        readinessProbe: {httpGet: {path: /status-0123456789abcdef, port: http}}
        livenessProbe: {httpGet: {path: /status-0123456789abcdef, port: http}}
        startupProbe: {httpGet: {path: /status-0123456789abcdef, port: http}}
        env:
        - name: config.service.auth
          valueFrom: {secretKeyRef: {name: gw, key: gateway-key}}
        envFrom:
        - configMapRef: {name: gw}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: gw, namespace: apim}
spec:
  maxUnavailable: 25%
  selector: {matchLabels: {app.kubernetes.io/name: gw}}
---
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: apim}
spec:
  type: ClusterIP
  ports: [{name: http, port: 8080, protocol: TCP}, {name: https, port: 8081, protocol: TCP}]
  selector: {app.kubernetes.io/name: gw, app.kubernetes.io/instance: r}
---
apiVersion: v1
kind: Service
metadata: {name: gw-instance-discovery, namespace: apim}
spec:
  clusterIP: None
  ports: [{port: 4290, protocol: UDP}, {port: 4291, protocol: UDP}]
  selector: {app.kubernetes.io/name: gw, app.kubernetes.io/instance: r}
"""
"""What the official Helm chart makes of its default values."""


def rendered(spec: GatewaySpec = SPEC) -> Bundle:
    """What this bot makes of a spec, as a bundle that may be changed."""
    return copy.deepcopy(list(render(spec, "edge-1-token-abc234")))


def written(text: str) -> Bundle:
    """The objects of a YAML file."""
    return list(yaml.safe_load_all(text))


def kind_of(bundle: Bundle, kind: str, name: str = "") -> Manifest:
    """The object of that kind whose name ends so."""
    return next(o for o in bundle if o["kind"] == kind and o["metadata"]["name"].endswith(name))


def pod_of(bundle: Bundle) -> dict[str, Any]:
    """The pods' spec."""
    pod: dict[str, Any] = kind_of(bundle, "Deployment")["spec"]["template"]["spec"]
    return pod


def container_of(bundle: Bundle) -> dict[str, Any]:
    """The gateway's container."""
    container: dict[str, Any] = pod_of(bundle)["containers"][0]
    return container
