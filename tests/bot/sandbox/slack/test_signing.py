"""Signatures: Slack's published example."""

from slack_sdk.signature import SignatureVerifier

from bot.sandbox.slack.signing import sign

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


def test_the_published_example_is_signed_as_published() -> None:
    assert sign(SECRET, 1531420618, BODY) == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


def test_slacks_own_verifier_agrees() -> None:
    assert SignatureVerifier(SECRET).generate_signature(
        timestamp="1700000000", body=b'{"a":1}'
    ) == sign(SECRET, 1700000000, b'{"a":1}')
