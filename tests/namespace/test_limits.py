"""What clients want remembered beside their files has its bounds, too."""

from __future__ import annotations

import pytest

from tahoeish.namespace.catalogue import Catalogue
from tahoeish.namespace.entries import Content
from tahoeish.namespace.errors import BadContent, OverQuota, TooManyProperties
from tahoeish.namespace.properties import MOST, MOST_TEXT, RemoveProperty, SetProperty
from tests.namespace.states import ANN, content

pytestmark = pytest.mark.usefixtures("users")


def some(count: int, *, first: int = 0, size: int = 1) -> list[SetProperty]:
    return [SetProperty(("urn:x", f"p{number}"), "x" * size) for number in range(first, first + count)]


@pytest.fixture(autouse=True)
def file(catalogue: Catalogue) -> None:
    catalogue.put(ANN, ("a",), content("1"))


def properties_of(catalogue: Catalogue) -> int:
    found = catalogue.properties(ANN, [catalogue.find(ANN, ("a",))])
    return sum(map(len, found.values()))


def test_an_entry_has_so_many_properties_and_not_more(catalogue: Catalogue) -> None:
    catalogue.change_properties(ANN, ("a",), some(MOST))
    with pytest.raises(TooManyProperties, match=f"/a can have {MOST} properties, of {MOST_TEXT} characters in all"):
        catalogue.change_properties(ANN, ("a",), some(1, first=MOST))
    assert properties_of(catalogue) == MOST
    catalogue.change_properties(ANN, ("a",), [RemoveProperty(("urn:x", "p0")), *some(1, first=MOST)])
    assert properties_of(catalogue) == MOST


def test_all_properties_of_an_entry_together_have_so_much_text_and_not_more(catalogue: Catalogue) -> None:
    catalogue.change_properties(ANN, ("a",), some(3, size=MOST_TEXT // 4))
    with pytest.raises(TooManyProperties):
        catalogue.change_properties(ANN, ("a",), some(1, first=3, size=MOST_TEXT // 4))
    assert properties_of(catalogue) == 3


def test_whoever_has_no_room_left_sets_no_properties(catalogue: Catalogue) -> None:
    catalogue.set_quota("ann", 110)
    catalogue.change_properties(ANN, ("a",), some(1))
    with pytest.raises(OverQuota):
        catalogue.change_properties(ANN, ("a",), some(1, size=20))
    catalogue.change_properties(ANN, ("a",), [RemoveProperty(("urn:x", "p0"))])
    assert properties_of(catalogue) == 0


@pytest.mark.parametrize("bad", [("URI:\0", None), ("URI:LIT:", "text/\0plain")])
def test_content_without_a_nul(bad: tuple[str, str | None]) -> None:
    cap, kind = bad
    with pytest.raises(BadContent, match="NUL"):
        Content(cap, 0, kind)


def test_a_path_of_many_names_is_followed_to_its_end(catalogue: Catalogue) -> None:
    path = tuple(f"folder {number}" for number in range(40))
    for depth in range(1, len(path) + 1):
        catalogue.make_folder(ANN, path[:depth])
    catalogue.put(ANN, (*path, "deep"), content("2", 7))
    assert catalogue.find(ANN, (*path, "deep")).size == 7
    assert catalogue.find(ANN, path[:17]).size == 7
