"""The Dockerfile says what the manifest relies on."""

import re
import tomllib

from bot.install.configuration import CONFIG_FILE
from bot.install.workload import USER
from tests.bot.install.settings_of import installed, one
from tests.support.processes import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_stage_has_the_base_that_whoever_builds_it_pins() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert bases == ["${BASE}"] * 2
    before, _, _ = TEXT.partition("FROM ")
    assert re.search(r"^ARG BASE=python:3\.11-slim$", before, re.MULTILINE)


def test_it_runs_as_the_user_of_the_manifest_with_its_arguments() -> None:
    assert re.findall(r"^USER (\S+)", TEXT, re.MULTILINE) == [str(USER)]
    assert f"--uid {USER}" in TEXT
    spec = one(installed(), "Deployment")["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsUser"] == USER
    assert spec["containers"][0]["args"] == ["run", "--config", str(CONFIG_FILE)]
    assert f'CMD ["run", "--config", "{CONFIG_FILE}"]' in TEXT


def test_its_labels_are_those_of_the_project() -> None:
    assert f"ARG VERSION={PROJECT['version']}\n" in TEXT
    assert f'image.description="{PROJECT["description"]}"' in TEXT
    assert f'image.licenses="{PROJECT["license"]}"' in TEXT


def test_a_mirror_and_certificate_authorities_are_build_arguments() -> None:
    for name in ("PIP_INDEX_URL", "CA_PEM"):
        assert re.search(rf"^ARG {name}=", TEXT, re.MULTILINE), name
    assert "--require-hashes" in TEXT
