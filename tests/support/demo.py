"""The demo as a person has it: one command, a page, and people who type and click."""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from bot.sandbox.world import DEFAULT
from tests.support.processes import ROOT
from tests.support.waiting import until

Message = dict[str, Any]


class Stage:
    """A running workspace's control API, and the people in it; `lines` is what its processes print."""

    url: str

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.session = requests.Session()

    def get(self, path: str, **parameters: str) -> Any:
        """GET a control path."""
        answer = self.session.get(f"{self.url}/_control/{path}", params=parameters, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """POST to a control path."""
        answer = self.session.post(f"{self.url}/_control/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def fault(self, part: str, name: str, value: Any) -> None:
        """Move a fault switch."""
        answer = self.post("faults", part=part, name=name, value=value)
        assert answer["ok"], answer

    def person(self, name: str, channel: str = "gateway-ops") -> "Person":
        """Somebody in the workspace."""
        return Person(self, name, channel)


class Demo(Stage):
    """A `gateway-bot demo` process and its control API."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        seconds: float = 120,
        program: str = "bot",
    ) -> None:
        """`program` is the module that is run as the demo."""
        super().__init__()
        self.data = data
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                program,
                "demo",
                "--port",
                "0",
                "--no-open",
                "--data",
                str(data),
                # What the demo itself starts with changes by itself: warnings, and something in trouble.
                *(() if "--world" in arguments else ("--world", str(DEFAULT))),
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=ROOT,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.url = until(self._ready, "ready", seconds)
        except AssertionError:
            self.stop()
            raise AssertionError("the demo did not start:\n" + "".join(self.lines)) from None
        # As on Slack itself; the demo starts without, so that nobody who tries it has to wait.
        self.fault("slack", "rate_limits", True)

    @property
    def pid(self) -> int:
        """The demo's own process."""
        return self._process.pid

    @property
    def kubeconfig(self) -> Path:
        """Where kubectl finds the clusters."""
        line = next(line for line in self.lines if line.startswith("kubeconfig "))
        return Path(line.removeprefix("kubeconfig ").strip())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)

    def _ready(self) -> str | None:
        if self._process.poll() is not None:
            raise AssertionError("it ended")
        found = re.search(r"^ready (http://127\.0\.0\.1:\d+)$", "".join(self.lines), re.MULTILINE)
        return found[1] if found else None

    def stop(self) -> None:
        """Ctrl-C, then wait for everything to end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self) -> None:
        """kill -9 of the demo alone."""
        self._process.kill()
        self._process.wait()

    def bot_pid(self) -> int:
        """The process that runs the bot itself."""
        listing = subprocess.run(
            ["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True
        ).stdout
        for line in listing.splitlines()[1:]:
            pid, parent, command = line.split(maxsplit=2)
            if int(parent) == self.pid and " run --config" in command:
                return int(pid)
        raise AssertionError(f"no bot runs under {self.pid}:\n{listing}")


@contextlib.contextmanager
def broken(demo: Stage, part: str, name: str, value: Any, mended: Any) -> Iterator[None]:
    """The part misbehaves while the block runs."""
    demo.fault(part, name, value)
    try:
        yield
    finally:
        demo.fault(part, name, mended)


class Person:
    """Types and clicks in one channel."""

    def __init__(self, demo: Stage, name: str, channel: str) -> None:
        self._demo = demo
        self.name = name
        self._channel = channel
        self._open: set[str] = set()

    def types(self, text: str) -> dict[str, Any]:
        """Send `/gateway text`."""
        self._open = {view["id"] for view in self.views()}
        return self._demo.post(
            "command", channel=self._channel, user=self.name, command="/gateway", text=text
        )

    def plans(self, text: str, seconds: float = 60) -> Message:
        """Send `/gateway text` and wait for the plan that it brings. Those in a thread are the plans
        of a request for several, which somebody may have sent just before."""
        before = {message["ts"] for message in self.messages()}
        answer = self.types(text)
        assert answer["ok"], answer

        def look() -> Message | None:
            for message in self.messages():
                new = message["ts"] not in before and message.get("thread_ts") in (
                    None,
                    message["ts"],
                )
                if new and "Nothing has changed yet" in words(message):
                    return message
            return None

        return self._waits(look, f"a plan for {text!r}", seconds)

    def is_told(self, text: str, pattern: str, seconds: float = 60) -> Message:
        """Send `/gateway text` until an answer for this person alone matches `pattern`: what it is
        about comes to the bot a moment later than to whoever brought it about."""
        regex = re.compile(pattern, re.DOTALL)

        def look() -> Message | None:
            before = {message["ts"] for message in self.messages()}
            assert self.types(text)["ok"]

            def answer() -> Message | None:
                mine = (m for m in self.messages() if m.get("is_ephemeral"))
                new = (m for m in mine if m["ts"] not in before)
                return next((m for m in new if regex.search(words(m))), None)

            with contextlib.suppress(AssertionError):
                return until(answer, "it", 5)
            return None

        return self._waits(look, f"an answer to {text!r} like {pattern!r}", seconds)

    def sees_at(self, message: Message, pattern: str, seconds: float = 90) -> Message:
        """That message, once its words match `pattern`."""
        regex = re.compile(pattern, re.DOTALL)

        def look() -> Message | None:
            for found in self.messages():
                if found["ts"] == message["ts"] and regex.search(words(found)):
                    return found
            return None

        what = f"{pattern!r} in the message of {message['ts']}"
        return self._waits(look, what, seconds)

    def messages(self) -> list[Message]:
        """Everything this person sees in the channel."""
        found: list[Message] = self._demo.get(f"messages/{self._channel}", user=self.name)[
            "messages"
        ]
        return found

    def sees(self, pattern: str, seconds: float = 60, *, ephemeral: bool | None = None) -> Message:
        """The newest message whose words match `pattern`, once there is one; a line of a thread
        only where no message does."""
        regex = re.compile(pattern, re.DOTALL)

        def look() -> Message | None:
            line = None
            for message in reversed(self.messages()):
                if ephemeral is not None and bool(message.get("is_ephemeral")) != ephemeral:
                    continue
                if regex.search(words(message)):
                    if message.get("thread_ts") in (None, message["ts"]):
                        return message
                    line = line or message
            return line

        return self._waits(look, f"a message like {pattern!r}", seconds)

    def sees_below(self, message: Message, pattern: str, seconds: float = 60) -> Message:
        """The newest line of a message's thread whose words match `pattern`, once there is one."""
        regex = re.compile(pattern, re.DOTALL)

        def look() -> Message | None:
            lines = (m for m in self.messages() if m.get("thread_ts") == message["ts"] != m["ts"])
            return next((m for m in reversed([*lines]) if regex.search(words(m))), None)

        return self._waits(look, f"a line like {pattern!r} in the thread", seconds)

    def _waits(self, look: Callable[[], Message | None], what: str, seconds: float) -> Message:
        try:
            return until(look, what, seconds)
        except AssertionError as error:
            shown = "\n---\n".join(words(m) for m in self.messages()[-6:])
            log = "".join(self._demo.lines[-20:])
            raise AssertionError(
                f"{error}\nthe channel shows:\n{shown}\nthe demo printed last:\n{log}"
            ) from None

    def clicks(self, message: Message, text: str) -> dict[str, Any]:
        """Click the button that reads `text`."""
        return self._demo.post(
            "interact",
            channel=self._channel,
            messageTs=message["ts"],
            user=self.name,
            action=button(message, text),
        )

    def views(self) -> list[dict[str, Any]]:
        """The modals this person has open, the uppermost last."""
        stack: list[dict[str, Any]] = self._demo.get(f"views/{self.name}")["stack"]
        return stack

    def form(self, callback_id: str, seconds: float = 60) -> dict[str, Any]:
        """The open modal once it can be submitted; one that was open when the last command was sent does not count."""

        def look() -> dict[str, Any] | None:
            stack = [view for view in self.views() if view["id"] not in self._open]
            if stack and stack[-1]["callback_id"] == callback_id and stack[-1].get("submit"):
                return stack[-1]
            return None

        return until(look, f"a form {callback_id}", seconds)

    def spec_form(self) -> dict[str, Any]:
        """The open form of `deploy`, once it takes a spec file."""
        form = self.form("deploy")
        (pressed,) = [
            element
            for block in form["blocks"]
            for element in block.get("elements") or ()
            if element.get("action_id") == "deploy_file_or_not"
        ]
        answer = self._demo.post(
            "interact", user=self.name, view_id=form["id"], state={}, action=pressed
        )
        assert answer["ok"], answer

        def look() -> dict[str, Any] | None:
            shown = self.form("deploy")
            named = [block.get("block_id") for block in shown["blocks"]]
            return shown if "deploy_file" in named else None

        return until(look, "a form that takes a file", 30)

    def options(self, view: dict[str, Any], action_id: str, typed: str = "") -> list[str]:
        """What an external select of the modal offers."""
        found = self._demo.post(
            "options",
            user=self.name,
            view_id=view["id"],
            action_id=action_id,
            block_id=action_id,
            value=typed,
        )
        return [option["value"] for option in found["options"]]

    def uploads(self, filename: str, text: str) -> str:
        """Choose a file in a form; its id."""
        content = base64.b64encode(text.encode()).decode()
        answer = self._demo.post("upload", user=self.name, filename=filename, content=content)
        return str(answer["file"]["id"])

    def submits(self, view: dict[str, Any], **chosen: str) -> dict[str, Any]:
        """Send the form with these values, by block id."""
        values = {}
        for block in view["blocks"]:
            if block["type"] != "input":
                continue
            name, element = block["block_id"], block["element"]
            if element["type"].endswith("_select"):
                value = chosen.get(name)
                option = (
                    {"text": {"type": "plain_text", "text": value}, "value": value}
                    if value
                    else element.get("initial_option")
                )
                state = {"type": element["type"], "selected_option": option}
            elif element["type"] == "file_input":
                state = {"type": element["type"], "files": [chosen[name]] if name in chosen else []}
            else:
                state = {
                    "type": element["type"],
                    "value": chosen.get(name, element.get("initial_value")),
                }
            values[name] = {element["action_id"]: state}
        return self._demo.post(
            "view", user=self.name, view_id=view["id"], type="submit", values=values
        )


def words(message: Message) -> str:
    """Everything a message says: its text and the texts of its blocks."""
    found: list[str] = [message.get("text") or ""]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                found.append(value["text"])
            for child in value.values():
                walk(child)
        elif isinstance(value, list):
            for child in value:
                walk(child)

    walk(message.get("blocks") or [])
    return "\n".join(found)


def is_answer(message: Message) -> bool:
    """Whether it is more than that the bot is at it, as it says of what takes over two seconds."""
    return not words(message).startswith(("Planning `", "Working on "))


def button(message: Message, text: str) -> dict[str, Any]:
    """The button that reads `text`, as a click sends it."""
    for block in message.get("blocks") or []:
        for element in (*(block.get("elements") or []), block.get("accessory") or {}):
            if element.get("type") == "button" and element["text"]["text"] == text:
                return {
                    "type": "button",
                    "action_id": element["action_id"],
                    "block_id": block["block_id"],
                    "value": element.get("value"),
                    "text": element["text"],
                }
    raise AssertionError(f"no button {text!r} in {json.dumps(message.get('blocks'))[:2000]}")


def request_id(message: Message) -> str:
    """The id by which text commands know the request that a message is about."""
    for block in message.get("blocks") or []:
        for element in block.get("elements") or []:
            with contextlib.suppress(ValueError, TypeError):
                value = json.loads(element.get("value", ""))
                if isinstance(value, dict) and value.get("id"):
                    return str(value["id"])
    raise AssertionError(f"no request in {words(message)!r}")
