"""Every key is found in its line, whatever else TOML allows around it."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoeish.node.config.lines import KeyPath, key_lines

CASES: list[tuple[str, dict[KeyPath, int]]] = [
    ("\n\na = 1\nb = 2 # c = 3\n", {("a",): 3, ("b",): 4}),
    ("[t]\na = 1\n[t.u]\na = 2\n", {("t",): 1, ("t", "a"): 2, ("t", "u"): 3, ("t", "u", "a"): 4}),
    ("[ t . u ]\na.b . c = 1\n", {("t",): 1, ("t", "u"): 1, ("t", "u", "a", "b", "c"): 2}),
    (
        "[[t]]\na = 1\n[[t]]\n\na = 2\n[t.u]\nb = 3\n",
        {("t",): 1, ("t", 0, "a"): 2, ("t", 1): 3, ("t", 1, "a"): 5, ("t", 1, "u", "b"): 7},
    ),
    (
        "[[t]]\n[[t.u]]\n[[t.u]]\na = 1\n[[t]]\n[[t.u]]\na = 1\n",
        {("t", 0, "u", 1, "a"): 4, ("t", 1, "u", 0, "a"): 7},
    ),
    ("'a.b' = 1\n\"c\\u0064\" = 2\n", {("a.b",): 1, ("cd",): 2}),
    ('a = """\nb = 1\n\\"""\n"" """\nc = 2\n', {("a",): 1, ("c",): 5}),
    ('a = """x"""""\nc = 2\n', {("c",): 2}),
    ("a = '''\nb = 1\n\\'''\nc = 2\n", {("c",): 4}),
    ('a = \'#\' # \'\nb = "\\"#" # "\nc = 3\n', {("b",): 2, ("c",): 3}),
    (
        "a = [ # x = 1\n 'y = 2',\n { z = 3, w = [1,\n2] },\n]\nb = 1\n",
        {("a", 0): 2, ("a", 1): 3, ("a", 1, "z"): 3, ("a", 1, "w", 1): 4, ("b",): 6},
    ),
    ("a = [2024-01-01 10:00:00, 1]\nb = 1e3\n", {("a", 1): 1, ("b",): 2}),
    ("a = { b.c = 1, 'd' = {} }\n", {("a", "b", "c"): 1, ("a", "d"): 1}),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_keys_are_found(text: str, expected: dict[KeyPath, int]) -> None:
    lines = key_lines(text)

    assert {path: lines[path] for path in expected} == expected


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_nothing_else_is_taken_for_a_key(text: str) -> None:
    assert set(key_lines(text)) == set(paths(tomllib.loads(text)))


awkward_text = st.text(st.sampled_from("ab\"'#=[]{},.\\\n\té"), max_size=8)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


@st.composite
def string_literals(draw: st.DrawFn) -> str:
    """One string in any of TOML's four spellings, with a text full of what has a meaning elsewhere."""
    text = draw(awkward_text)
    spellings = [quoted(text)]
    if "'" not in text:
        spellings.append(f"'''\n{text}'''")
        if "\n" not in text:
            spellings.append(f"'{text}'")
    if "\\" not in text and '"' not in text:
        spellings.append(f'"""{text}"""')
    return draw(st.sampled_from(spellings))


values = st.recursive(
    string_literals() | st.sampled_from(["1", "true", "-0.5e3", "2024-01-01", "2024-01-01 10:00:00Z", "inf"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # ,]\n".join(items) + "\n]"),
    max_leaves=4,
)


@given(st.lists(st.tuples(awkward_text.map(quoted), values), max_size=5, unique_by=lambda pair: pair[0]))
def test_any_keys_and_values_are_told_apart(pairs: list[tuple[str, str]]) -> None:
    text, expected = "", []
    for key, value in pairs:
        expected.append(text.count("\n") + 1)
        text += f"{key} = {value}\n# comment\n"
    document = tomllib.loads(text)

    lines = key_lines(text)

    assert [lines[(name,)] for name in document] == expected
    assert set(lines) == set(paths(document))


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """Every way from the top of a TOML document to a key, table or array item."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(way for part, inner in below for way in paths(inner, (*path, part)))]
