"""Posting, changing, threads, history, ephemerals, schedules, streams."""

import time
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.support.slack_blocks import actions, button, section
from tests.support.slack_workspace import ANA, BEN, OPS, SECRETS, Person
from tests.support.waiting import until

JSON = dict[str, Any]


def error(call: Any, *args: Any, **kwargs: Any) -> str:
    """The name of the refusal."""
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    return str(caught.value.response["error"])


def test_a_posted_message_has_slacks_shape(client: WebClient) -> None:
    reply = client.chat_postMessage(channel=OPS, text="hello", blocks=[section("*hi*")])
    message = reply["message"]
    assert message["ts"] == reply["ts"]
    assert message["bot_profile"]["app_id"] == "A0APP"
    assert message["blocks"][0]["block_id"]
    whole, _, part = reply["ts"].partition(".")
    assert (len(whole), len(part)) == (10, 6)


def test_text_without_blocks_removes_the_blocks_and_marks_the_message_edited(
    client: WebClient,
) -> None:
    ts = client.chat_postMessage(channel=OPS, text="a", blocks=[section()])["ts"]
    message = client.chat_update(channel=OPS, ts=ts, text="b")["message"]
    assert "blocks" not in message
    assert message["edited"]["user"] == message["user"]


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_an_update_with_blocks_keeps_the_text_and_shows_no_edited_mark(client: WebClient) -> None:
    ts = client.chat_postMessage(channel=OPS, text="a", blocks=[section()])["ts"]
    message = client.chat_update(channel=OPS, ts=ts, blocks=[section("new")])["message"]
    assert message["text"] == "a"
    assert message["blocks"][0]["text"]["text"] == "new"
    assert "edited" not in message


def test_metadata_stays_on_update_until_it_is_emptied(client: WebClient) -> None:
    given: JSON = {"event_type": "request", "event_payload": {"id": "7K3M"}}
    ts = client.chat_postMessage(channel=OPS, text="a", metadata=given)["ts"]
    assert client.chat_update(channel=OPS, ts=ts, text="b")["message"]["metadata"] == given
    history = client.conversations_history(channel=OPS)
    assert "metadata" not in history["messages"][0]
    history = client.conversations_history(channel=OPS, include_all_metadata=True)
    assert history["messages"][0]["metadata"] == given
    assert (
        "metadata" not in client.chat_update(channel=OPS, ts=ts, text="c", metadata={})["message"]
    )


@pytest.mark.parametrize(
    ("metadata", "refused"),
    [("nonsense", "invalid_metadata_format"), ({"event_type": "x"}, "invalid_metadata_schema")],
)
def test_bad_metadata_is_refused(client: WebClient, metadata: Any, refused: str) -> None:
    assert error(client.chat_postMessage, channel=OPS, text="a", metadata=metadata) == refused


def test_only_own_messages_can_be_changed(person: Person, client: WebClient) -> None:
    ts = person.post("message", channel="gateway-ops", user="ana", text="mine")["ts"]
    assert error(client.chat_update, channel=OPS, ts=ts, text="x") == "cant_update_message"
    assert error(client.chat_delete, channel=OPS, ts=ts) == "cant_delete_message"
    assert error(client.chat_update, channel=OPS, ts="1.1", text="x") == "message_not_found"


def test_a_thread_counts_its_replies(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="parent")["ts"]
    first = client.chat_postMessage(channel=OPS, text="1", thread_ts=parent)["ts"]
    second = person.post("message", channel=OPS, user="ana", text="2", thread_ts=parent)["ts"]
    shown = person.messages()
    assert [m["text"] for m in shown] == ["parent", "1", "2"]
    assert shown[0]["reply_count"] == 2
    assert shown[0]["latest_reply"] == second
    assert ANA in shown[0]["reply_users"]
    assert [m["ts"] for m in client.conversations_history(channel=OPS)["messages"]] == [parent]
    replies = client.conversations_replies(channel=OPS, ts=parent)["messages"]
    assert [m["ts"] for m in replies] == [parent, first, second]
    client.chat_delete(channel=OPS, ts=first)
    assert person.messages()[0]["reply_count"] == 1


def test_a_reply_to_a_reply_lands_in_its_thread(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="parent")["ts"]
    reply = client.chat_postMessage(channel=OPS, text="1", thread_ts=parent)["ts"]
    nested = client.chat_postMessage(channel=OPS, text="2", thread_ts=reply)["message"]
    assert nested["thread_ts"] == parent


def test_a_broadcast_reply_shows_in_the_channel_too(client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="parent")["ts"]
    client.chat_postMessage(channel=OPS, text="!", thread_ts=parent, reply_broadcast=True)
    newest = client.conversations_history(channel=OPS)["messages"][0]
    assert (newest["text"], newest["subtype"]) == ("!", "thread_broadcast")


def test_a_deleted_parent_leaves_a_tombstone(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="parent")["ts"]
    client.chat_postMessage(channel=OPS, text="1", thread_ts=parent)
    client.chat_delete(channel=OPS, ts=parent)
    assert person.messages()[0]["subtype"] == "tombstone"
    assert error(client.chat_update, channel=OPS, ts=parent, text="x") == "message_not_found"


def test_an_ephemeral_is_seen_by_one_and_is_not_history(person: Person, client: WebClient) -> None:
    ts = client.chat_postEphemeral(channel=OPS, user=ANA, text="psst")["message_ts"]
    assert [m["ts"] for m in person.messages(user="ana")] == [ts]
    assert person.messages(user="ben") == []
    assert client.conversations_history(channel=OPS)["messages"] == []
    assert error(client.chat_update, channel=OPS, ts=ts, text="x") == "message_not_found"
    assert error(client.chat_postEphemeral, channel=SECRETS, user=ANA, text="x") == (
        "user_not_in_channel"
    )


def test_history_has_pages_and_bounds(client: WebClient) -> None:
    stamps = [client.chat_postMessage(channel=OPS, text=str(n))["ts"] for n in range(5)]
    page = client.conversations_history(channel=OPS, limit=2)
    assert [m["text"] for m in page["messages"]] == ["4", "3"]
    assert page["has_more"] is True
    cursor = page["response_metadata"]["next_cursor"]
    page = client.conversations_history(channel=OPS, limit=2, cursor=cursor)
    assert [m["text"] for m in page["messages"]] == ["2", "1"]
    newer = client.conversations_history(channel=OPS, oldest=stamps[3])["messages"]
    assert [m["text"] for m in newer] == ["4"]
    exact = client.conversations_history(
        channel=OPS, oldest=stamps[3], latest=stamps[3], inclusive=True
    )
    assert [m["text"] for m in exact["messages"]] == ["3"]


def test_a_permalink_names_channel_and_message(client: WebClient) -> None:
    ts = client.chat_postMessage(channel=OPS, text="x")["ts"]
    link = client.chat_getPermalink(channel=OPS, message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/{OPS}/p{ts.replace('.', '')}")


def test_a_scheduled_message_is_posted_when_due(person: Person, client: WebClient) -> None:
    # Whoever looks may be held up for seconds before.
    at = int(time.time()) + 12
    scheduled = client.chat_scheduleMessage(channel=OPS, post_at=at, text="later")
    assert scheduled["scheduled_message_id"].startswith("Q")
    [listed] = client.chat_scheduledMessages_list(channel=OPS)["scheduled_messages"]
    assert listed["post_at"] == at
    assert person.messages() == []
    [message] = until(person.messages)
    assert message["text"] == "later"
    assert float(message["ts"]) >= at


def test_a_scheduled_message_can_be_taken_back(client: WebClient) -> None:
    soon = int(time.time()) + 60
    entry = client.chat_scheduleMessage(channel=OPS, post_at=soon, text="later")
    entry_id = entry["scheduled_message_id"]
    client.chat_deleteScheduledMessage(channel=OPS, scheduled_message_id=entry_id)
    assert client.chat_scheduledMessages_list()["scheduled_messages"] == []
    again = error(client.chat_deleteScheduledMessage, channel=OPS, scheduled_message_id=entry_id)
    assert again == "invalid_scheduled_message_id"


def test_schedules_have_bounds(client: WebClient) -> None:
    now = int(time.time())
    assert error(client.chat_scheduleMessage, channel=OPS, post_at=now - 5, text="x") == (
        "time_in_past"
    )
    far = now + 121 * 24 * 3600
    assert error(client.chat_scheduleMessage, channel=OPS, post_at=far, text="x") == "time_too_far"
    start = (now // 300 + 2) * 300
    for n in range(30):
        client.chat_scheduleMessage(channel=OPS, post_at=start + n, text="x")
    assert error(client.chat_scheduleMessage, channel=OPS, post_at=start + 31, text="x") == (
        "restricted_too_many"
    )


def test_a_stream_grows_and_ends(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="question")["ts"]
    stream = client.chat_stream(
        channel=OPS,
        thread_ts=parent,
        recipient_team_id="T0TEAM",
        recipient_user_id=ANA,
        buffer_size=1,
    )
    stream.append(markdown_text="**Roll")
    stream.append(markdown_text="ing**")
    task = {"type": "task_update", "id": "1", "title": "Apply", "status": "in_progress"}
    stream.append(chunks=[task])
    stream.append(chunks=[{**task, "status": "complete"}])
    assert stream.ts is not None
    assert error(client.chat_update, channel=OPS, ts=stream.ts, text="x") == (
        "streaming_state_conflict"
    )
    stream.stop(blocks=[actions(button())])
    message = person.messages()[-1]
    assert message["blocks"][0]["text"] == "**Rolling**"
    assert message["blocks"][1]["status"] == "complete"
    assert message["blocks"][2]["type"] == "actions"
    assert error(client.chat_appendStream, channel=OPS, ts=stream.ts, markdown_text="x") == (
        "message_not_in_streaming_state"
    )


def test_a_plan_collects_its_tasks(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="question")["ts"]
    stream = client.chat_stream(
        channel=OPS,
        thread_ts=parent,
        recipient_team_id="T0TEAM",
        recipient_user_id=ANA,
        task_display_mode="plan",
    )
    task = {"type": "task_update", "id": "1", "title": "Apply", "status": "pending"}
    stream.append(chunks=[{"type": "plan_update", "title": "Deploy"}, task])
    stream.stop()
    [plan] = person.messages()[-1]["blocks"]
    assert (plan["title"], len(plan["tasks"])) == ("Deploy", 1)


def test_a_stream_in_a_channel_needs_its_recipient(client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="question")["ts"]
    assert error(client.chat_startStream, channel=OPS, thread_ts=parent) == (
        "missing_recipient_team_id"
    )
    assert (
        error(client.chat_startStream, channel=OPS, thread_ts=parent, recipient_team_id="T0TEAM")
        == "missing_recipient_user_id"
    )


def test_files_are_uploaded_and_shared_in_a_thread(person: Person, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=OPS, text="logs?")["ts"]
    reply = client.files_upload_v2(
        channel=OPS,
        thread_ts=parent,
        filename="pod.log",
        title="Pod log",
        content="one\ntwo\n",
        initial_comment="here",
    )
    file = reply["file"]
    message = person.messages()[-1]
    assert message["text"] == "here"
    assert message["thread_ts"] == parent
    assert message["files"][0]["title"] == "Pod log"
    assert person.call(lambda: person.slack.snapshot()["files"][0]["meta"]["size"]) == 8
    assert person.raw(f"files/{file['id']}") == b"one\ntwo\n"
    assert client.files_info(file=file["id"])["file"]["name"] == "pod.log"
    assert (
        error(
            client.files_completeUploadExternal, files=[{"id": "F9", "title": "x"}], channel_id=OPS
        )
        == "file_not_found"
    )


def test_mentions_of_me_or_my_group_are_counted_until_read(
    person: Person, client: WebClient
) -> None:
    client.chat_postMessage(channel=OPS, text=f"<@{BEN}> look")
    client.chat_postMessage(channel=OPS, text="plain")
    ts = client.chat_postMessage(
        channel=OPS, text="approve?", blocks=[section("<!subteam^S0APP>")]
    )["ts"]
    assert person.get("unread", user="ben")["channels"][OPS] == {"unread": 3, "mentions": 2}
    assert person.get("unread", user="ana")["channels"][OPS] == {"unread": 3, "mentions": 0}
    person.post("mark-read", user="ben", channel=OPS, ts=ts)
    assert person.get("unread", user="ben")["channels"][OPS] == {"unread": 0, "mentions": 0}
