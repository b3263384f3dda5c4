"""What may be called what."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.errors import BadName, NoSuchEntry
from tahoeish.namespace.names import check_name
from tests.namespace.states import ANN, content


@pytest.mark.parametrize("name", ["a", " ", "...", ".a", "a\\b", "C:", "é" * 127, "x" * 255, "@a", "a\u200db", "%2f"])
def test_almost_anything_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (".", "“.”"),
        ("..", "“..”"),
        ("a/b", "slash"),
        ("a\0b", r"control character U\+0000"),
        ("a\nb", r"control character U\+000A"),
        ("\x7f", r"control character U\+007F"),
        ("\x85", r"control character U\+0085"),
        ("\udc80", r"U\+DC80, half of a surrogate pair"),
        ("x" * 256, "255 bytes of UTF-8, and this one has 256"),
        ("é" * 128, "255 bytes of UTF-8, and this one has 256"),
        # What normalising makes longer counts as it is stored: U+0958 is excluded from composition.
        ("\u0958" * 43, "255 bytes of UTF-8, and this one has 258"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(BadName, match=reason):
        check_name(name)


def test_names_are_in_normal_form_c() -> None:
    assert check_name("e\u0301") == "\u00e9"


@pytest.mark.parametrize("path", [("..",), ("f", ".."), ("f", "..", "a"), ("",), ("f", ""), ("f/a",), ("f", "a\0")])
def test_no_way_leads_around_the_rules(catalogue: Catalogue, path: tuple[str, ...]) -> None:
    catalogue.make_folder(ANN, ("f",))
    catalogue.put(ANN, ("f", "a"), content("1"))
    for refused in (
        lambda: catalogue.find(ANN, path),
        lambda: catalogue.children(ANN, path),
        lambda: catalogue.put(ANN, path, content("2")),
        lambda: catalogue.make_folder(ANN, path),
        lambda: catalogue.remove(ANN, path),
        lambda: catalogue.copy(ANN, ("f",), path, overwrite=True),
        lambda: catalogue.move(ANN, path, ("g",), overwrite=True),
    ):
        with pytest.raises(BadName):
            refused()


@pytest.mark.parametrize("name", ["%", "_", "a%", "'", '"', "\\", "a;b", "￿"])
def test_nothing_in_a_name_means_anything_to_the_database(catalogue: Catalogue, name: str) -> None:
    catalogue.put(ANN, ("a_b",), content("1"))
    with pytest.raises(NoSuchEntry):
        catalogue.find(ANN, (name,))
    catalogue.put(ANN, (name,), content("2"))
    assert catalogue.find(ANN, (name,)).name == name
