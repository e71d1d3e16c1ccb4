"""Whether the tests of tests/cluster meet a real control plane; it is started once for all workers."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.control_plane import ControlPlane, Process, Source, Unfit, built, choose
from tests.support.kube_api import KubeApi

PLANE = pytest.StashKey[ControlPlane | None]()
EVIDENCE = "evidence"
"""The property under which a test notes a row of the table that is printed at the end."""
_SOURCE = pytest.StashKey[Source]()
_DIRECTORY = pytest.StashKey[Path]()
_SAID = pytest.StashKey[str]()
_HERE = Path(__file__).parent

# A deadline for one example, and how long examples take to draw, measure how busy the machine is;
# how many are drawn in vain is luck. Every run draws other examples.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    max_examples=50,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.filter_too_much,
    ],
)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--control-plane."""
    parser.addoption(
        "--control-plane",
        choices=("auto", "required", "off"),
        default="auto",
        help="the real control plane for tests/cluster: the one that was built, if it was (auto); "
        "that or what KUBECONFIG or KUBEBUILDER_ASSETS name, or fail (required); none (off)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the control plane, or take the one that the first process has started."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        kept = given["control_plane"]
        where = kept.pop("kubeconfig", "")
        config.stash[PLANE] = ControlPlane(**kept, kubeconfig=Path(where)) if kept else None
        return
    config.stash[PLANE] = None
    if config.getoption("--collect-only") or not any(_covers(arg) for arg in config.args):
        return
    directory = Path(tempfile.mkdtemp(prefix="controlplane-"))
    config.stash[_DIRECTORY] = directory
    source = _source(config, directory / "state")
    if source is None:
        config.stash[_SAID] = "the real control plane was not tried: `make test-cluster` does"
        return
    try:
        source.start()
    finally:
        config.stash[_SOURCE] = source
    plane = config.stash[PLANE] = source.plane
    version = KubeApi(plane.kubeconfig, plane.context).get("/version")["gitVersion"]
    config.stash[_SAID] = f"the real control plane was {version} ({plane.context})"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the control plane is."""
    plane = node.config.stash[PLANE]
    node.workerinput["control_plane"] = (
        {} if plane is None else {**asdict(plane), "kubeconfig": str(plane.kubeconfig)}
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line about it, and what the tests of evidence found."""
    rows = sorted(
        {
            value
            for report in terminalreporter.getreports("passed")
            for name, value in report.user_properties
            if name == EVIDENCE
        }
    )
    if rows:
        terminalreporter.write_sep("-", "case → level → evidence")
        for row in rows:
            terminalreporter.write_line(row)
    said = config.stash.get(_SAID, None)
    if said is not None:
        terminalreporter.write_line(said)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    source = config.stash.get(_SOURCE, None)
    if source is not None:
        source.stop()
    directory = config.stash.get(_DIRECTORY, None)
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)


def _source(config: pytest.Config, directory: Path) -> Source | None:
    asked = config.getoption("--control-plane")
    if asked == "off":
        return None
    if asked == "auto":
        # Never KUBECONFIG: a developer's own may point at something dear.
        binary = built()
        return None if binary is None else Process(binary, directory)
    try:
        return choose(directory)
    except Unfit as error:
        raise pytest.UsageError(str(error)) from error


def _covers(argument: str) -> bool:
    path = Path(argument.split("::")[0]).absolute()
    cluster = _HERE / "cluster"
    return path == cluster or cluster in path.parents or path in cluster.parents
