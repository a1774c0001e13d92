"""Credentials that an answer shows under their names: out of the record, however the answer is cut."""

import json
import random

import pytest

from bodycam.model.media import media
from bodycam.policy.masking.named import NamedSecrets, named_secrets

TOKEN = "tok-1f4c9d"

ANSWERS = {
    "a token server's": (
        f'{{"access_token": "{TOKEN}", "token_type": "Bearer", "expires_in": 3600, "scope": "a b"}}',
        '{"access_token": "[redacted]", "token_type": "Bearer", "expires_in": 3600, "scope": "a b"}',
    ),
    "all names": (
        json.dumps(dict.fromkeys(("refresh_token", "id_token", "clientSecret", "api-key"), TOKEN)),
        '{"refresh_token": "[redacted]", "id_token": "[redacted]", "clientSecret": "[redacted]",'
        ' "api-key": "[redacted]"}',
    ),
    "deep": (
        f'{{"user":{{"name":"password","Password" : "{TOKEN}"}},"secret":\n["{TOKEN}","y"]}}',
        '{"user":{"name":"password","Password" : "[redacted]"},"secret":\n["[redacted]","[redacted]"]}',
    ),
    "with escapes": (
        '{"password":"a\\"tok-1f4c9d\\\\","next":"b","api\\u005fkey":"tok-1f4c9d"}',
        '{"password":"[redacted]","next":"b","api\\u005fkey":"[redacted]"}',
    ),
    "a number": ('{"otp": 123456, "password":-1.5e3}', '{"otp": "[redacted]", "password":"[redacted]"}'),
    "a list": (
        f'{{"api_key": [ "{TOKEN}" ,\n"{TOKEN}","" ,7,-1, null, true,"x"], "scopes": ["a", "b"], "b": [1]}}',
        '{"api_key": [ "[redacted]" ,\n"[redacted]","[redacted]" ,"[redacted]","[redacted]", null, true,"[redacted]"],'
        ' "scopes": ["a", "b"], "b": [1]}',
    ),
    "a list of numbers": ('{"otp": [123456,654321], "a": 1}', '{"otp": ["[redacted]","[redacted]"], "a": 1}'),
    "a list that breaks off": (f'{{"otp": ["{TOKEN}", ', '{"otp": ["[redacted]", '),
    "a list in a text": (
        json.dumps({"text": json.dumps({"api_key": [TOKEN, "a\\", 12], "a": ["b", 1]}), "more": ["c", "d"]}),
        json.dumps(
            {
                "text": json.dumps({"api_key": ["[redacted]"] * 3, "a": ["b", 1]}),
                "more": ["c", "d"],
            }
        ),
    ),
    "a list behind which its text ends": (
        f'["{{\\"otp\\": [\\"{TOKEN}\\"", "b", "c"]',
        '["{\\"otp\\": [\\"[redacted]\\"", "b", "c"]',
    ),
    "nothing there": ('{"password":null,"secret":true,"token":{}}', None),
    "a text within": (
        json.dumps({"text": json.dumps({"access_token": TOKEN, "a": 'b"c'}), "more": 1}),
        json.dumps({"text": json.dumps({"access_token": "[redacted]", "a": 'b"c'}), "more": 1}),
    ),
    "a text within a text": (
        json.dumps({"text": json.dumps({"text": json.dumps({"secret": TOKEN + '"\\', "a": 1})})}),
        json.dumps({"text": json.dumps({"text": json.dumps({"secret": "[redacted]", "a": 1})})}),
    ),
    "events": (
        f'data: {{"id_token":"{TOKEN}"}}\n\nevent: it"s\ndata: {{"api_key":"{TOKEN}"}}\n\n',
        'data: {"id_token":"[redacted]"}\n\nevent: it"s\ndata: {"api_key":"[redacted]"}\n\n',
    ),
    "what breaks off": (f'{{"password": "{TOKEN}', '{"password": "[redacted]'),
    "no such name": ('{"passwords":["a"],"keys":"b","tokens":3,"author":"c","passenger":"d"}', None),
    "the name as a value": ('{"kind": "password", "value": "x"}', None),
}
FORMS = {
    "a token server's": (
        f"access_token={TOKEN}&scope=a%20b&token_type=bearer",
        "access_token=[redacted]&scope=a%20b&token_type=bearer",
    ),
    "a name with escapes": (f"a=1&client%5fsecret={TOKEN}", "a=1&client%5fsecret=[redacted]"),
    "no such name": ("grant=access_token&passwords=x", None),
}


def pieces(body: bytes, sizes: list[int]) -> bytes:
    """What is recorded of it, cut into pieces of these sizes, again and again."""
    return through(named_secrets(media("application/json")), body, sizes)


def through(named: NamedSecrets | None, body: bytes, sizes: list[int]) -> bytes:
    assert named is not None
    kept, at, turn = b"", 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        kept += named.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    return kept


@pytest.mark.parametrize("what", ANSWERS)
def test_json_is_recorded_without_what_stands_under_such_names(what: str) -> None:
    body, expected = ANSWERS[what]
    wanted = (body if expected is None else expected).encode()
    for size in (10_000, 1, 2, 3, 7, 16):
        assert pieces(body.encode(), [size]) == wanted
    for split in range(1, len(body)):
        assert pieces(body.encode(), [split, 10_000]) == wanted


@pytest.mark.parametrize("what", FORMS)
def test_a_form_is_recorded_without_what_stands_under_such_names(what: str) -> None:
    body, expected = FORMS[what]
    wanted = (body if expected is None else expected).encode()
    kind = media("application/x-www-form-urlencoded")
    for size in (10_000, 1, 2, 5):
        assert through(named_secrets(kind), body.encode(), [size]) == wanted


@pytest.mark.parametrize(
    "name", ["p_a-s.s w_o-r.d", "To-Ken", "O_T_P", "api\\u005fkey", "\\u0070ass", "device code"]
)
def test_a_name_is_known_however_it_is_parted_and_with_no_other_in_sight(name: str) -> None:
    before, behind = b'{"Keyboard": "compact", "', b'", "a": 1}'
    body = before + name.encode() + b'": "' + TOKEN.encode() + behind
    wanted = before + name.encode() + b'": "[redacted]' + behind
    for size in (10_000, 1, 3, 8):
        assert pieces(body, [size]) == wanted


def test_what_has_nothing_of_it_is_the_very_same() -> None:
    named = named_secrets(media("application/json"))
    assert named is not None
    for body in (b'{"a": 1}', b'{"author": "key"}', b'{"item": "Keyboard", "key": ["pass"], "code": 7}'):
        assert named.feed(body) is body


def test_no_cut_and_no_order_lets_a_value_through() -> None:
    rolls = random.Random(7)
    for _ in range(300):
        said: dict[str, object] = {}
        for number in range(rolls.randint(1, 6)):
            name = rolls.choice(["password", "access_token", "name", "api key", "code", 'quo"te', "\\"])
            value = TOKEN + rolls.choice(["", '"', "\\", '\\"', "\n", "é"])
            said[f"{name}{number}" if name not in ("password", "access_token") else name] = (
                rolls.choice([value, [value], [value, 7, value]])
                if name in ("password", "access_token")
                else rolls.choice([1, None, "ok", 'a"b\\'])
            )
        text = json.dumps(said, ensure_ascii=rolls.random() < 0.5)
        if rolls.random() < 0.4:
            text = json.dumps({"inner": text, "after": "kept"})
        kept = pieces(text.encode(), [rolls.randint(1, 9) for _ in range(5)])
        assert TOKEN.encode() not in kept
        json.loads(kept)


def test_many_of_them_cost_no_more_than_their_number() -> None:
    body = b'{"password":"x"},' * 60_000
    named = named_secrets(media("application/json"))
    assert named is not None
    assert named.feed(body).count(b"[redacted]") == 60_000
    assert named.feed(b'"secret": [' + b'"x", 1,' * 60_000 + b"]").count(b"[redacted]") == 120_000


@pytest.mark.parametrize("kind", ["image/png", "application/json; charset=utf-16"])
def test_what_is_no_text_that_can_be_read_as_it_stands_is_left_to_others(kind: str) -> None:
    assert named_secrets(media(kind)) is None
