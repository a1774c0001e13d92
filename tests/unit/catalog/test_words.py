"""Overlong words in what is indexed: cut as in a question, wherever they stand."""

import pytest

from bodycam.catalog.words import LONGEST, document, words


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 5 * LONGEST])
@pytest.mark.parametrize("before", ["", "a-", "x " * 2000, "order_"])
def test_a_document_has_the_words_that_a_question_has(before: str, length: int) -> None:
    long = "aZ9"[length % 3] * length
    texts = [f"{before}{long}-b", "a text behind it " * 8]

    held = document(texts).replace("\ue000", " ")
    assert words(held) == [word for text in texts for word in words(text)]
    assert long.lower()[:LONGEST] in words(held)
    assert all(len(word) <= LONGEST for word in held.replace("-", " ").replace("_", " ").split())
