"""The HTTP transport: signed POSTs to the app's request URLs."""

import json
import time
from collections.abc import Callable
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.faults import FaultBoard
from bot.sandbox.slack.delivery import DEADLINE_SECONDS, Answer, Delivery
from bot.sandbox.slack.ids import Clock
from bot.sandbox.slack.model import JSON, AppConfig
from bot.sandbox.slack.signing import sign
from bot.sandbox.slack.traffic import TrafficLog

USER_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"


class HttpMode:
    """The transport of apps with a URL that Slack can reach."""

    connections = 0

    def __init__(
        self,
        app: AppConfig,
        faults: FaultBoard,
        log: TrafficLog,
        url_for: Callable[[bool], str | None],
        clock: Clock,
    ) -> None:
        self._app, self._faults, self._log, self._url_for = app, faults, log, url_for
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, delivery: Delivery) -> Answer:
        """POST and read the answer."""
        options = delivery.payload.get("type") == "block_suggestion"
        url = self._url_for(options)
        if url is None:
            error = "no options load URL" if options else "no request URL"
            self._log.add("delivery", transport="http", type=delivery.kind, error=error)
            return Answer(error="dispatch_failed", reason="connection_failed")
        body, headers = self._request(delivery)
        self._log.add(
            "delivery",
            transport="http",
            type=delivery.kind,
            url=url,
            retry_attempt=delivery.retry_attempt,
            retry_reason=delivery.retry_reason,
            payload=delivery.payload,
        )
        started = time.monotonic()
        answer = await self._post(url, body, headers, delivery)
        self._log.add(
            "ack",
            transport="http",
            type=delivery.kind,
            ms=round((time.monotonic() - started) * 1000, 1),
            error=answer.error,
            payload=answer.payload,
        )
        return answer

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _request(self, delivery: Delivery) -> tuple[bytes, dict[str, str]]:
        if delivery.kind == "events_api":
            body = json.dumps(delivery.payload).encode()
            content_type = "application/json"
        else:
            commands = delivery.kind == "slash_commands"
            fields = delivery.payload if commands else {"payload": json.dumps(delivery.payload)}
            body = urlencode(fields).encode()
            content_type = "application/x-www-form-urlencoded"
        timestamp = int(self._clock())
        headers = {
            "Content-Type": content_type,
            "User-Agent": USER_AGENT,
            "X-Slack-Request-Timestamp": str(timestamp),
            "X-Slack-Signature": sign(self._app.signing_secret, timestamp, body),
        }
        if delivery.retry_attempt:
            headers["x-slack-retry-num"] = str(delivery.retry_attempt)
            headers["x-slack-retry-reason"] = {"timeout": "http_timeout"}.get(
                delivery.retry_reason, delivery.retry_reason
            )
        return body, headers

    async def _post(
        self, url: str, body: bytes, headers: dict[str, str], delivery: Delivery
    ) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        deadline = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=deadline, allow_redirects=False
            ) as response:
                text = await response.text()
                no_retry = response.headers.get("x-slack-no-retry") == "1"
                status, content_type = response.status, response.content_type
        except TimeoutError:
            return Answer(error="operation_timeout", reason="http_timeout")
        except (aiohttp.ClientError, UnicodeDecodeError):
            return Answer(error="dispatch_failed", reason="connection_failed")
        if self._faults.get("lose_acks"):
            return Answer(error="operation_timeout", reason="http_timeout")
        if status != 200:
            return Answer(error="http_service_error", reason="http_error", no_retry=no_retry)
        payload = _payload(text, content_type) if delivery.accepts_response else None
        return Answer(payload=payload)


def _payload(text: str, content_type: str) -> JSON | None:
    """JSON by its content type, else what a person would read."""
    if not text.strip():
        return None
    if content_type == "application/json":
        try:
            parsed = json.loads(text)
        except ValueError:
            return {"text": text}
        return parsed if isinstance(parsed, dict) else {"text": text}
    return {"text": text}
