"""The log of asyncssh: what goes wrong is in it, and never a packet."""

import logging

import pytest

from bodycam.protocols.ssh.quiet import QUIET


def test_what_goes_wrong_is_logged_and_packets_are_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="asyncssh")
    for logger in (QUIET, QUIET.get_child(context="chan=0")):
        logger.packet(1, b"secret", "Sent %s", "packet")
        logger.debug1("step %s", "one")
        logger.debug2("detail %s", "two")
        logger.warning("it broke: %s", "badly")
    assert [record.getMessage() for record in caplog.records] == [
        "it broke: badly",
        "[chan=0] it broke: badly",
    ]
