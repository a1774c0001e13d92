"""Any bytes as SAML give a refusal, and a response that was altered anywhere proves nobody else."""

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from bodycam.identity.saml.bindings import from_form, from_query
from bodycam.identity.saml.failure import SamlRefused
from bodycam.identity.saml.xml import parse
from tests import saml
from tests.unit.identity.test_saml_responses import GOOD, IDP, OURS, SIGNED, WHOLE, asserted, read, responded

WHOLES = [one.encode() for one in (GOOD, WHOLE, responded(saml.encrypted(SIGNED, OURS)))]
PIECES = [b"<!--x-->", b"<saml:Assertion ", b"</saml:Assertion>", b'ID="_assertion"', b"&lt;", b"<![CDATA[", b"]]>",
          b"<?x?>", b"\xc2\xa0", b"eve", saml.signed(asserted(name="eve"), IDP).encode()[:400]]  # fmt: skip


def proves(document: bytes) -> str | None:
    try:
        return str(read(document).principal)
    except SamlRefused:
        return None


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda one: f"<a>{one}</a>".encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_xml_or_a_refusal(data: bytes) -> None:
    with contextlib.suppress(SamlRefused):
        assert parse(data) is not None


@example(WHOLES[1], 147, 0, "\u00c0".encode())
@given(
    st.sampled_from(WHOLES),
    st.integers(0, 6000),
    st.integers(0, 40),
    st.binary(max_size=4) | st.sampled_from(PIECES),
)
def test_what_was_altered_proves_the_same_person_or_nobody(
    whole: bytes, at: int, long: int, put: bytes
) -> None:
    at %= len(whole)
    assert proves(whole[:at] + put + whole[at + long :]) in ("ann@sso", None)


@given(
    st.text(max_size=300),
    st.dictionaries(st.sampled_from(["SAMLRequest", "SAMLResponse", "RelayState"]), st.text(max_size=200)),
)
def test_any_query_and_any_form_is_a_message_or_a_refusal(query: str, form: dict[str, str]) -> None:
    for make in (
        lambda: from_query(query),
        lambda: from_query(f"SAMLRequest={query}"),
        lambda: from_form(form),
    ):
        with contextlib.suppress(SamlRefused):
            make()
