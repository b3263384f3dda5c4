"""Forms: each part may be packed, and have something claimed of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.gateway.delivery.shipping import (
    CLAIMS,
    MIB,
    content_of,
    every_claim,
    every_coding,
    expect_nothing_stored,
    packed,
    structured,
)
from tests.nodes import Answer, NodeProcess


class TestForms:
    """Each part has header fields of its own."""

    BOUNDARY = "----boundary"
    FORM = f"multipart/form-data; boundary={BOUNDARY}"

    def part(self, name: str, content: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        fields = {"Content-Disposition": f'form-data; name="file"; filename="{name}"', **(headers or {})}
        lines = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
        return f"--{self.BOUNDARY}\r\n{lines}\r\n".encode() + content + b"\r\n"

    def form(self, *parts: bytes) -> bytes:
        return b"".join(parts) + f"--{self.BOUNDARY}--\r\n".encode()

    def post(self, node: NodeProcess, form: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        told = {"Content-Type": self.FORM, "Accept": "application/json", **(headers or {})}
        return node.request("POST", "/uri?t=upload", form, told)

    @every_coding
    def test_a_part_may_be_packed(self, node: NodeProcess, coding: str) -> None:
        content = content_of(200_000)
        form = self.form(
            self.part("packed", packed(content, coding), {"Content-Encoding": coding}), self.part("b", b"b")
        )
        one, other = self.post(node, form).json()
        assert (one["size"], node.get(f"/uri/{one['cap']}").body) == (200_000, content)
        assert node.get(f"/uri/{other['cap']}").body == b"b"

    @every_claim
    def test_a_part_that_is_not_what_was_claimed_is_left_out(self, node: NodeProcess, field: str) -> None:
        content = content_of(200_000)
        claim = {field: CLAIMS[field](content)}
        form = self.form(self.part("a", b"damaged" * 1000, claim), self.part("b", content, claim))
        before = len(node.shares())
        answer = self.post(node, form)
        damaged, good = answer.json()
        assert answer.status == 400 and damaged["error"]["status"] == 400
        assert node.get(f"/uri/{good['cap']}").body == content
        assert len(node.shares()) == before + 3

    @pytest.mark.parametrize(
        ("headers", "status"), [({"Content-Encoding": "gzip"}, 400), ({"Content-Encoding": "compress"}, 415)]
    )
    def test_a_part_that_cannot_be_unpacked_is_left_out(
        self, node: NodeProcess, headers: Mapping[str, str], status: int
    ) -> None:
        answer = self.post(node, self.form(self.part("a", content_of(100_000), headers), self.part("b", b"b")))
        bad, good = answer.json()
        assert answer.status == bad["error"]["status"] == status and good["cap"] == "URI:LIT:mi"

    @every_coding
    def test_all_of_it_may_be_packed(self, node: NodeProcess, coding: str) -> None:
        contents = [content_of(200_000), content_of(5)]
        form = self.form(*(self.part(str(number), content) for number, content in enumerate(contents)))
        results = self.post(node, packed(form, coding), {"Content-Encoding": coding}).json()
        assert [node.get(f"/uri/{result['cap']}").body for result in results] == contents

    def test_a_form_that_ends_in_the_middle_is_no_answer_for_its_files(self, bare: NodeProcess) -> None:
        form = packed(self.form(self.part("a", content_of(2 * MIB)), self.part("b", b"b")), "gzip")
        answer = self.post(bare, form[: len(form) // 2], {"Content-Encoding": "gzip"})
        expect_nothing_stored(bare, answer)
        assert "ends in the middle" in answer.json()["detail"]

    @pytest.mark.parametrize("field", [field for field in CLAIMS if field != "OC-Checksum"])
    def test_a_digest_of_the_form_is_that_of_its_one_file(self, bare: NodeProcess, field: str) -> None:
        form = self.form(self.part("a", content_of(100_000)))
        answer = self.post(bare, form, {field: CLAIMS[field](content_of(100_000))})
        expect_nothing_stored(bare, answer)
        form = self.form(self.part("a", b"a"))
        assert self.post(bare, form, {field: CLAIMS[field](form)}).status == 201

    def test_of_several_files_it_would_come_too_late(self, bare: NodeProcess) -> None:
        form = self.form(self.part("a", content_of(100_000)), self.part("b", b"b"))
        answer = self.post(bare, form, {"Content-Digest": structured("sha-256", form)})
        expect_nothing_stored(bare, answer)
        assert "one file" in answer.json()["detail"]
