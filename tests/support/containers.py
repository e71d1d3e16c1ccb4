"""A container of a pod as a process, as far as a machine without a container runtime can: its user, no capability,
a root of its own that cannot be written, and the volumes, arguments and variables that its pod names.

Missing of a real one are the seccomp profile, the limits of processor and memory, and a network and process ids of
its own.
"""

import base64
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from tests.support.kube_api import KubeApi, Obj
from tests.support.processes import ROOT

ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_SYSTEM = ("bin", "sbin", "lib", "lib64")
_ETC = (
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
    "resolv.conf",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_TOOLS = ("unshare", "setpriv", "mount", "install")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
IMAGE_VARIABLES = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SSL_CERT_FILE": _AUTHORITIES,
    "REQUESTS_CA_BUNDLE": _AUTHORITIES,
    "HOME": "/tmp",
    "GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0",
}
"""What the Dockerfile sets, but for the path of the package."""


def lacking() -> str:
    """What this machine lacks to run one, or nothing."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if sys.platform != "linux" or missing:
        return f"a container needs Linux with {', '.join(missing or _TOOLS)}"
    if os.geteuid() != 0:
        return "a container with a user of its own needs root"
    tried = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "x", "/mnt"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    return f"this machine lets nobody mount: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True)
class Cluster:
    """Where the pod is: what a kubelet reads and asks for there."""

    api: KubeApi
    namespace: str
    host: str
    port: int
    authority: bytes

    def get(self, kind: str, name: str) -> Obj:
        """An object of the pod's namespace."""
        return self.api.get(f"/api/v1/namespaces/{self.namespace}/{kind}/{name}")

    def account_files(self, account: str) -> dict[str, bytes]:
        """What is mounted of a ServiceAccount: a token that the cluster makes for it, and how to find
        the cluster."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        made = self.api.create(path, {"spec": {"expirationSeconds": 3607}})
        return {
            "token": made["status"]["token"].encode(),
            "ca.crt": self.authority,
            "namespace": self.namespace.encode(),
        }


@dataclass(frozen=True)
class Start:
    """What to run, as root, with these variables and no other."""

    arguments: Sequence[str]
    variables: Mapping[str, str]

    def __call__(self) -> NoReturn:
        """Become the container's process."""
        os.execvpe(self.arguments[0], [*self.arguments], {**self.variables})


def start_of(pod: Obj, cluster: Cluster, entrypoint: Sequence[str], kept: Path, ca: bytes) -> Start:
    """How the only container of a pod begins whose image has that entry point and trusts `ca`. `kept` is
    a new directory."""
    (container,) = pod["containers"]
    kept.mkdir(mode=0o700)
    root, script = kept / "root", kept / "enter.sh"
    root.mkdir()
    volumes = _volumes(pod, container, cluster, root, kept)
    # What is here may lie below what a volume covers, such as a checkout in /tmp.
    lines = [*_image(root, kept, ca), *volumes, *_code(root)]
    if container["securityContext"]["readOnlyRootFilesystem"]:
        lines.append(f"mount -o remount,ro {root}")
    program = [*_as_user(pod, container), *entrypoint, *container["args"]]
    lines.append(f"exec /usr/sbin/chroot {root} {shlex.join(program)}")
    script.write_text("\n".join(lines) + "\n")
    variables = {
        **IMAGE_VARIABLES,
        **dict(_variables(container, cluster)),
        "KUBERNETES_SERVICE_HOST": cluster.host,
        "KUBERNETES_SERVICE_PORT": str(cluster.port),
    }
    entered = ["unshare", "--mount", "--propagation", "private", "sh", "-eu", str(script)]
    return Start(entered, variables)


def _as_user(pod: Obj, container: Obj) -> list[str]:
    """The user and what it may become, as the security contexts have it."""
    context = {**pod["securityContext"], **container["securityContext"]}
    assert context["runAsNonRoot"]
    assert context["runAsUser"] != 0
    options = [
        *("/usr/bin/setpriv", "--pdeathsig", "TERM"),
        *("--reuid", str(context["runAsUser"]), "--regid", str(context["runAsGroup"])),
        *("--groups", str(context["fsGroup"])),
    ]
    if "ALL" in context["capabilities"]["drop"]:
        options += ["--bounding-set=-all", "--inh-caps=-all"]
    if not context["allowPrivilegeEscalation"]:
        options.append("--no-new-privs")
    return options


def _image(root: Path, kept: Path, ca: bytes) -> Iterator[str]:
    """The root: what of the system is not in /usr."""
    yield f"mount -t tmpfs -o mode=755 root {root}"
    yield f"mkdir -p {root}/proc {root}/dev {root}/etc/ssl/certs {root}/var/run {root}/usr"
    for name in _SYSTEM:
        here = Path("/", name)
        if here.is_symlink():
            yield f"ln -s {os.readlink(here)} {root}/{name}"
        elif here.is_dir():
            yield from _bound(here, root)
    yield f"mount --rbind /proc {root}/proc"
    for name in _DEVICES:
        yield f"touch {root}/dev/{name} && mount --bind /dev/{name} {root}/dev/{name}"
    for name in _ETC:
        if Path("/etc", name).exists():
            yield f"cp -rL /etc/{name} {root}/etc/{name}"
    trusted = kept / "authorities.pem"
    trusted.write_bytes(ca)
    yield f"cp {trusted} {root}{_AUTHORITIES}"
    # As the Dockerfile's useradd has it.
    yield f"echo 'gateway-bot:x:10001:10001::/home/gateway-bot:/bin/sh' > {root}/etc/passwd"


def _code(root: Path) -> Iterator[str]:
    """The system's programs, Python and the bot as they are here, none of which can be written."""
    for directory in _outermost([Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), ROOT]):
        yield from _bound(directory, root)


def _outermost(directories: Sequence[Path]) -> list[Path]:
    unique = set(directories)
    return sorted(each for each in unique if not unique & set(each.parents))


def _bound(directory: Path, root: Path) -> list[str]:
    inside = f"{root}{directory}"
    return [
        f"mkdir -p {inside}",
        f"mount --bind {directory} {inside}",
        f"mount -o remount,bind,ro {inside}",
    ]


def _volumes(pod: Obj, container: Obj, cluster: Cluster, root: Path, kept: Path) -> Iterator[str]:
    group = pod["securityContext"]["fsGroup"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        inside, volume = f"{root}{mount['mountPath']}", volumes[mount["name"]]
        yield f"mkdir -p {inside}"
        if "emptyDir" in volume:
            size = volume["emptyDir"]["sizeLimit"].removesuffix("i").lower()
            yield f"mount -t tmpfs -o mode=2777,gid={group},size={size} {mount['name']} {inside}"
            continue
        yield from _files(
            _projected(volume["projected"], cluster), inside, kept / mount["name"], group
        )
    if pod.get("automountServiceAccountToken"):
        inside = f"{root}{ACCOUNT_DIRECTORY}"
        files = cluster.account_files(pod["serviceAccountName"])
        yield f"mkdir -p {inside}"
        yield from _files(files, inside, kept / "account", group)


def _projected(volume: Obj, cluster: Cluster) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for source in volume["sources"]:
        if "configMap" in source:
            data = cluster.get("configmaps", source["configMap"]["name"])["data"]
            found |= {name: text.encode() for name, text in data.items()}
        else:
            data = cluster.get("secrets", source["secret"]["name"])["data"]
            for item in source["secret"]["items"]:
                if item["key"] in data:
                    found[item["path"]] = base64.b64decode(data[item["key"]])
                else:
                    assert source["secret"].get("optional"), f"no volume without {item['key']}"
    return found


def _files(files: Mapping[str, bytes], inside: str, kept: Path, group: int) -> Iterator[str]:
    """A volume that holds them, readable by the pod's group and written by nobody."""
    kept.mkdir(mode=0o700)
    yield f"mount -t tmpfs -o mode=750,gid={group} files {inside}"
    yield f"install -d -m 750 -g {group} {inside}/..2026 && ln -s ..2026 {inside}/..data"
    for name, content in files.items():
        assert PurePosixPath(name).name == name
        (kept / name).write_bytes(content)
        yield f"install -m 440 -g {group} {kept / name} {inside}/..data/{name}"
        yield f"ln -s ..data/{name} {inside}/{name}"
    yield f"mount -o remount,ro {inside}"


def _variables(container: Obj, cluster: Cluster) -> Iterator[tuple[str, str]]:
    for each in container["env"]:
        reference: Any = (each.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            yield each["name"], each["value"]
            continue
        data = cluster.get("secrets", reference["name"])["data"]
        if reference["key"] in data:
            yield each["name"], base64.b64decode(data[reference["key"]]).decode()
        else:
            assert reference.get("optional"), f"the pod would not start without {reference['key']}"
