"""Lines of a file, numbered and bounded."""

import io

from hypothesis import given
from hypothesis import strategies as st

from proxy.inspection.loader import numbered


@given(st.lists(st.sampled_from([b"", b" ", b"\r", b"a", b"ab", b"abcd", b"abcde", b"x" * 70_000])), st.integers(1, 6))
def test_lines_are_numbered_as_an_editor_does_and_never_held_beyond_the_limit(lines: list[bytes], most: int) -> None:
    text = b"\n".join(lines)
    seen = list(numbered(io.BytesIO(text), most))
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    assert [number for number, _, _ in seen] == [number for number, _ in wanted]
    for (_, raw, length), (_, line) in zip(seen, wanted, strict=True):
        assert len(raw) <= most + 1
        assert (line + b"\n").startswith(raw)
        assert length in (len(line), len(line) + 1)
        assert (len(raw) > most) == (length > most)
