"""Whatever a call of Slack's client raises is known to be a failure, and what it means."""

import socket
import threading

import pytest
from slack_sdk import WebClient

from handlers.slack.api_errors import FAILURES, Meaning, meaning


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_anywhere_leaves_it_open_what_was_done(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def breaks_off() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        threading.Thread(target=breaks_off, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        client = WebClient("xoxb-1", base_url=url, timeout=10, retry_handlers=[])
        with pytest.raises(FAILURES) as raised:
            client.chat_postMessage(channel="C1", text="hello")
    assert meaning(raised.value) is Meaning.UNSURE
