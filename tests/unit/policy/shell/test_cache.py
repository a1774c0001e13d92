"""Facts are made once for each command line."""

from bodycam.policy.shell.analysis import ShellAnalysis


def test_a_text_is_analysed_once() -> None:
    analysis = ShellAnalysis()
    first = analysis.facts("ls a")
    assert analysis.facts("ls a") is first
    assert analysis.facts("ls b") is not first
    assert (analysis.texts.hits, analysis.texts.misses) == (1, 2)
