"""E-mail over a real conversation: what the server said decides what is known."""

import email
from typing import Any

import pytest

from coordination.effectors.effector import Receipt
from coordination.effectors.smtp import Smtp, SmtpSettings
from coordination.errors import EffectorError, GiveUp, RetryLater
from tests.coordination.effectors.parts import Mail, effect, mailing

PAYLOAD = {"to": "ops@example.com", "subject": "Late delivery", "text": "Order 7 is late.\n"}


def smtp(mail: Mail, **more: Any) -> Smtp:
    settings = SmtpSettings("127.0.0.1", mail.port, "noesis@corp.example", tls="none", seconds=20, **more)
    known = {("c1", "email"): "anna@example.com"}
    return Smtp(settings, lambda entity, name: known.get((entity, name)))


def test_a_message_arrives_with_an_id_made_from_the_key() -> None:
    with mailing() as mail:
        payload = {**PAYLOAD, "to": ["ops@example.com", {"entity": "c1"}], "cc": "boss@example.com"}
        receipt = smtp(mail).act(effect(payload))
        ((receivers, text),) = mail.taken
    message = email.message_from_string(text)
    assert receivers == ["ops@example.com", "anna@example.com", "boss@example.com"]
    assert message["Message-ID"] == receipt.reference == "<key1@corp.example>"
    assert (message["Subject"], message["From"]) == ("Late delivery", "noesis@corp.example")
    assert message.get_payload().replace("\r", "") == "Order 7 is late.\n"
    assert receipt.detail == {"refused": 0, "receivers": 3}
    assert "anna" not in str(receipt)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"RCPT": "550 nobody"}, GiveUp),
        ({"RCPT": "450 later"}, RetryLater),
        ({"MAIL": "553 not you"}, GiveUp),
        ({"DATA": "451 not now"}, RetryLater),
        ({".": "552 too large"}, GiveUp),
        ({".": "hang up"}, EffectorError),
        ({"DATA": "hang up"}, EffectorError),
    ],
)
def test_it_says_truthfully_what_it_knows(answers: dict[str, str], error: type[Exception]) -> None:
    with mailing() as mail:
        mail.answers = answers
        with pytest.raises(error) as said:
            smtp(mail).act(effect(PAYLOAD))
    assert type(said.value) is error


def test_a_server_that_is_away_is_tried_again() -> None:
    with mailing() as mail:
        gone = smtp(mail)
    with pytest.raises(RetryLater):
        gone.act(effect(PAYLOAD))


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {**PAYLOAD, "to": []},
        {**PAYLOAD, "to": "no address"},
        {**PAYLOAD, "to": "a@b.example\r\nBcc: evil@example.com"},
        {**PAYLOAD, "subject": "x\r\nBcc: evil@example.com"},
        {**PAYLOAD, "to": {"entity": "nobody"}},
        {**PAYLOAD, "to": ["a@b.example"] * 51},
        {**PAYLOAD, "text": 5},
    ],
)
def test_what_is_no_message_is_refused_before_anything_is_sent(payload: Any) -> None:
    with mailing() as mail:
        for call in (smtp(mail).act, smtp(mail).simulate):
            with pytest.raises(GiveUp):
                call(effect(payload))
        assert not mail.connections


def test_nothing_is_sent_by_the_twin_and_nothing_undoes_a_message() -> None:
    with mailing() as mail:
        assert smtp(mail).simulate(effect(PAYLOAD)).detail["would"]["receivers"] == 1
        assert not mail.connections
        assert smtp(mail).compensation(effect(PAYLOAD), Receipt()) is None
    assert "secret" not in str(smtp(mail, user="u", password="secret"))
