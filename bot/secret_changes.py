"""Secrets whose files change while the bot runs: whoever uses them has the new value at the next use."""

import logging
from collections.abc import Callable, Iterable

from pydantic import SecretStr

from bot.secret_files import SUFFIX, SecretFile
from bot.secret_problems import form_problems
from bot.settings import Secrets
from deploy.actions.redis_address import address_of, login_of, passwords_in, without_login
from deploy.errors import InvalidInput

log = logging.getLogger(__name__)

SECONDS = 5.0
"""Between two looks. Kubernetes itself takes up to about a minute to update a mounted Secret."""
_REGISTRY = "The bot signs in to the image registry with it."
_FROM_NOW_ON = {
    "slack_bot_token": "Calls of Slack use it.",
    "slack_app_token": "New Socket Mode connections use it; those that stand are replaced in time.",
    "slack_signing_secret": "Requests must be signed with it.",
    "azure_client_secret": "The bot signs in to Azure with it.",
    "event_grid_secret": "Deliveries of Event Grid must show it.",
    "registry_user": _REGISTRY,
    "registry_password": _REGISTRY,
    "registry_token": _REGISTRY,
    "redis_url": "New connections to Redis sign in with it.",
}
"""What happens with a new value, by the field of Secrets."""
_RESTART = "Restart the bot to use it"


def texts_to_hide(secret: str, value: str) -> tuple[str, ...]:
    """What no line of the log may show of a field's value."""
    if secret == "redis_url":
        # Without a password in it, it may be shown.
        return passwords_in(value)
    return () if secret == "registry_user" else (value,)


class SecretChanges:
    """Looks at the files of all secrets that are given as files. A file that cannot be used, or whose
    value cannot be used without a restart, changes nothing and is logged once."""

    def __init__(
        self, secrets: Secrets, hide: Callable[[Iterable[str]], object] = lambda texts: None
    ) -> None:
        """`hide` is given what no line of the log may show, before anybody uses it."""
        self._files = {
            name: value for name, value in vars(secrets).items() if isinstance(value, SecretFile)
        }
        self._hide = hide
        self._refused: dict[str, str] = {}

    @property
    def needed(self) -> bool:
        """Whether any secret is given as a file."""
        return bool(self._files)

    def turn(self) -> None:
        """Look at each file once."""
        for name, file in self._files.items():
            self._look(name, file)

    def _look(self, name: str, file: SecretFile) -> None:
        try:
            value = file.read()
        except InvalidInput as error:
            why = f"{file.variable}{SUFFIX}: {error.happened} The bot continues with the previous value."
            self._refuse(name, why, why)
            return
        if value == file.get_secret_value():
            self._refused.pop(name, None)
            return
        self._hide(texts_to_hide(name, value))
        try:
            needs = _unusable(file.variable, value) or _restart_for(name, file, value)
        except InvalidInput as error:
            needs = f"{error.happened} The bot continues with the previous value."
        if needs:
            self._refuse(name, value, f"{file.variable} has changed in its file. {needs}")
            return
        file.use(value)
        self._refused.pop(name, None)
        log.info("%s has changed in its file. %s", file.variable, _FROM_NOW_ON[name])

    def _refuse(self, name: str, about: str, line: str) -> None:
        if self._refused.get(name) != about:
            self._refused[name] = about
            log.warning("%s", line)


def _unusable(variable: str, value: str) -> str:
    for problem in form_problems(variable, value):
        return f"It {problem.message} The bot continues with the previous value."
    return ""


def _restart_for(name: str, now: SecretStr, value: str) -> str:
    """Why a new value cannot be used as it is; empty where it can. InvalidInput where it never can."""
    if name == "redis_url":
        old, new = address_of(now.get_secret_value()), address_of(value)
        if without_login(old) != without_login(new):
            return f"It names another Redis or other options. {_RESTART}."
        if (login_of(old) is None) != (login_of(new) is None):
            return f"Only one of the previous and the new URL has a password. {_RESTART}."
    if name not in _FROM_NOW_ON:
        return f"{_RESTART}."
    return ""
