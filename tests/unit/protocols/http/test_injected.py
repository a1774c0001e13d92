"""Credentials that the gateway adds: found in each form that a target may print them in, at every split."""

import base64
import html
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.model.target import Dial
from bodycam.protocols.http.injected import Injected, injected

ODD = "k&y=\"1/2+<3>'\\ %é"


def through(own: Injected, pieces: list[bytes]) -> bytes:
    stream = own.stream()
    return b"".join([stream.feed(piece) for piece in pieces]) + stream.flush()


WAYS = {
    "as it is": ODD.encode(),
    "in a URL": quote(ODD, safe="").encode(),
    "in a path": quote(ODD).encode(),
    "in a form": quote_plus(ODD).encode(),
    "in small hexadecimal digits": quote(ODD, safe="").replace("%C3%A9", "%c3%a9").replace("%3D", "%3d").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3C", "%3c").replace("%3E", "%3e").replace("%5C", "%5c").encode(),
    "in JSON": json.dumps(ODD).encode(),
    "in JSON of UTF-8": json.dumps(ODD, ensure_ascii=False).encode(),
    "in JSON of PHP": json.dumps(ODD).replace("/", "\\/").encode(),
    "in JSON of Go": json.dumps(ODD, ensure_ascii=False).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode(),
    "in JSON of .NET": json.dumps(ODD, ensure_ascii=False).replace('\\"', '"')[1:-1].replace('"', "\\u0022").replace("&", "\\u0026").replace("'", "\\u0027").replace("+", "\\u002B").replace("<", "\\u003C").replace(">", "\\u003E").encode(),
    "in HTML": html.escape(ODD).encode(),
    "in HTML of Go": html.escape(ODD).replace("&#x27;", "&#39;").replace("&quot;", "&#34;").encode(),
    "read as Latin-1": ODD.encode().decode("latin-1").encode(),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_each_form_is_covered_and_nothing_else(way: str) -> None:
    own = Injected([ODD])
    shown = own.hidden(b"<" + WAYS[way] + b">")
    assert len(shown) == len(WAYS[way]) + 2
    assert shown.strip(b'<">') == b"*" * len(WAYS[way].strip(b'"'))


@pytest.mark.parametrize(
    ("dial", "secrets"),
    [
        (Dial("h", 1, "u", "", "pass-word"), [b"pass-word", base64.b64encode(b"u:pass-word")]),
        (Dial("h", 1, "", "", headers={"Authorization": "Bearer tok-en1"}), [b"tok-en1", b"Bearer tok-en1"]),
        (Dial("h", 1, "", "", headers={"Authorization": 'Token token="tok-en1"'}), [b"tok-en1"]),
        (
            Dial("h", 1, "", "", headers={"Authorization": "Basic " + base64.b64encode(b"u:pa:ss1").decode()}),
            [b"pa:ss1", base64.b64encode(b"u:pa:ss1")],
        ),
        (Dial("h", 1, "", "", query={"key": "a b&c=d"}), [b"a b&c=d", urlencode({"k": "a b&c=d"}).encode()[2:]]),
    ],
)  # fmt: skip
def test_all_that_goes_to_the_target_is_known_in_its_parts(dial: Dial, secrets: list[bytes]) -> None:
    own = injected(dial)
    assert own is not None
    for secret in secrets:
        assert own.hidden(b"[%b]" % secret) == b"[%b]" % (b"*" * len(secret))
    assert repr(own).count("-word") == 0


def test_where_nothing_is_added_nothing_is_looked_for() -> None:
    assert injected(None) is None
    assert injected(Dial("h", 1, "", "")) is None
    untouched = b"nothing of it"
    assert Injected(["secret-1"]).hidden(untouched) is untouched
    # what is so short would be found everywhere
    assert Injected(["true"]).hidden(b"true") == b"true"


def test_a_stream_holds_back_what_may_be_the_beginning_and_no_more() -> None:
    stream = Injected(["secret-1", "x-secret-2"]).stream()
    assert stream.feed(b"a sec") == b"a "
    assert stream.feed(b"ond x-se") == b"second "
    assert stream.feed(b"cret-2.") == b"**********."
    assert stream.feed(b"all of it") == b"all of it"
    assert stream.feed(b"s") == b""
    assert stream.flush() == b"s"
    assert stream.found


@given(st.text("abcx", max_size=40), st.lists(st.integers(1, 7), min_size=1))
def test_however_it_is_cut_the_same_comes_out(text: str, sizes: list[int]) -> None:
    own = Injected(["abcabca", "bcabcab", "xabcxab", "cxabcxxx"])
    data, pieces, at = text.encode(), [], 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    assert through(own, pieces) == own.hidden(data)
    assert len(own.hidden(data)) == len(data)


def test_a_secret_at_every_split() -> None:
    own = Injected([ODD])
    data = b" and ".join(WAYS.values())
    whole = own.hidden(data)
    for at in range(len(data) + 1):
        assert through(own, [data[:at], data[at:]]) == whole
