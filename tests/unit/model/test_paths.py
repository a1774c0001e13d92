"""Paths of which every server makes the same, and the patterns that select them."""

import pytest

from bodycam.model.paths import PathPattern, is_normal


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/v1/chat",
        "/a.b/..c/d..",
        "/a%20b",
        "/caf%C3%A9",
        "/a:b@c",
        "/a+b,c=d!$&'()*",
        "/...",
        "/a%5B0%5D",
    ],
)
def test_normal_paths(path: str) -> None:
    assert is_normal(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "a", "*", "//", "//a", "/a//b", "/a//", "/.", "/./a", "/a/.", "/..", "/../a", "/a/..", "/a/../b",
        "/%2e", "/%2E%2e/a", "/.%2e/a", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a;b", "/a;/../b", "/a%3bb",
        "/%61", "/a%41", "/a%30", "/a%2d", "/a%5f", "/a%7e", "/a%252fb", "/a%25", "/a%", "/a%2", "/a%zz", "/a%0a",
        "/a%00", "/a%7f", "/a\n", "/a b", "/a?b", "/a#b", "/a%3fb", "/a%23b", "/é", "/a\"", "/a<b>", "/a|b", "/a^b",
        "http://h/a",
    ],
)  # fmt: skip
def test_paths_that_can_be_read_in_two_ways(path: str) -> None:
    assert not is_normal(path)


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("/", ["/"], ["/a"]),
        ("/v1/chat", ["/v1/chat"], ["/v1/chat/", "/v1/Chat", "/v1", "/v1/chat/x", "/v1/chats"]),
        ("/v1/*", ["/v1/a", "/v1/a.b"], ["/v1", "/v1/", "/v1/a/b"]),
        ("/users/*/keys", ["/users/7/keys"], ["/users/keys", "/users/7/8/keys", "/users//keys"]),
        ("/v1/**", ["/v1/a", "/v1/a/b", "/v1/"], ["/v1", "/v2/a", "/v1x/a"]),
        ("/**", ["/", "/a", "/a/b/c"], []),
        ("/f/*.json", ["/f/a.json", "/f/a.b.json"], ["/f/.json", "/f/ajson", "/f/a.json.exe"]),
        ("/f/v*-x", ["/f/v1-x"], ["/f/v-x", "/f/v1-y"]),
        ("/a/*/", ["/a/b/"], ["/a/b", "/a/b/c"]),
    ],
)
def test_what_a_pattern_stands_for(pattern: str, matches: list[str], others: list[str]) -> None:
    made = PathPattern(pattern)
    assert [path for path in matches + others if made.matches(path)] == matches


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "v1",
        "*",
        "**",
        "/a/**/b",
        "/a**",
        "/*a*",
        "/a//b",
        "/../a",
        "/a;b",
        "/a%2fb",
        "/a?b=c",
        "/a/" * 70,
    ],
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PathPattern(pattern)
