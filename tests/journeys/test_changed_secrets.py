"""A running bot, and a Secret that is changed under it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.install.redis_acl import USER, acl
from tests.journeys.test_deploy import deploy
from tests.support.demo import Demo
from tests.support.redis_servers import server_of
from tests.support.secret_mount import SecretMount
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


class Scene:
    """A running bot, its Redis as an administrator sees it, and its Secret."""

    def __init__(self, directory: Path, server_url: str) -> None:
        self.admin: Any = redis.Redis.from_url(server_url, decode_responses=True)
        self._path = server_url.removeprefix("unix://")
        self._mount = directory / "mount"
        self.allow("the-first-password")
        env = {"REDIS_URL": self.url("the-first-password"), "MOUNT": str(self._mount)}
        self.demo = Demo(directory / "demo", env=env, program="tests.support.mounting")

    def url(self, password: str) -> str:
        return f"unix://{USER}:{password}@{self._path}"

    def allow(self, password: str) -> None:
        """Of the bot's user, this password alone."""
        self.admin.execute_command("ACL", "SETUSER", *acl(password=f">{password}").split()[1:])

    def change(self, password: str) -> None:
        """What Kubernetes mounts."""
        SecretMount(self._mount, REDIS_URL=self.url(password))

    def connections(self) -> int:
        """How many of Redis' are the bot's."""
        return sum(each["user"] == USER for each in self.admin.client_list())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("changed")
    server = server_of("valkey", directory / "redis-of-the-bot")
    server.start()
    made = Scene(directory, server.url)
    try:
        yield made
    finally:
        made.demo.stop()
        server.stop()


def test_redis_gets_another_password_and_the_bot_uses_it_without_a_restart(scene: Scene) -> None:
    pid = scene.demo.bot_pid()
    assert scene.connections()
    scene.allow("the-second-password")
    scene.change("the-second-password")
    scene.admin.execute_command("CLIENT", "KILL", "USER", USER)
    until(lambda: scene.connections() > 0, "a connection with the new password", 120)
    deploy(scene.demo, "edge-1", "west/dev", replicas=1)
    assert scene.demo.bot_pid() == pid
    assert "the-second-password" not in "".join(scene.demo.lines)
