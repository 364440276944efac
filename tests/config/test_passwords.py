"""Password files: which lines are passwords, and which files are refused."""

from pathlib import Path

import pytest

from proxy.config.passwords import MOST, PasswordError, read, read_all

TOKEN = b"t" * 4000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "password"


def refusal_of_all(file: Path) -> str:
    with pytest.raises(PasswordError) as caught:
        read_all(None, str(file))
    return str(caught.value)


def refusal_of_one(file: Path) -> str:
    with pytest.raises(PasswordError) as caught:
        read(None, str(file))
    return str(caught.value)


def test_without_a_password_there_is_none() -> None:
    assert read(None, None) is None
    assert read_all(None, None) is None


def test_that_of_the_configuration_stands_as_it_is() -> None:
    assert read(" a\nb ", None) == b" a\nb "
    assert read_all(" a\nb ", None) == (b" a\nb ",)


@pytest.mark.parametrize(
    ("content", "passwords"),
    [
        (b"old", (b"old",)),
        (b"old\n", (b"old",)),
        (b"old\r\n", (b"old",)),
        (b"old\r\r\n", (b"old",)),
        (b"old\nnew", (b"old", b"new")),
        (b"old\r\nnew\r\n", (b"old", b"new")),
        (b"\n\r\n  \n\t\nold\n\n\n", (b"old",)),
        (b" with spaces \n\ttab\n", (b" with spaces ", b"\ttab")),
        (b"a\rb\n", (b"a\rb",)),
        (b"# no comment\n", (b"# no comment",)),
        (b"\xff\x00\n", (b"\xff\x00",)),
        (b"same\nsame\n", (b"same", b"same")),
    ],
)
def test_each_line_of_a_listeners_file_is_one(file: Path, content: bytes, passwords: tuple[bytes, ...]) -> None:
    file.write_bytes(content)
    assert read_all(None, str(file)) == passwords
    if len(passwords) == 1:
        assert read(None, str(file)) == passwords[0]


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"  \t \n\x0b\x0c\n"])
def test_a_file_without_a_password_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert refusal_of_all(file) == refusal_of_one(file)
    assert refusal_of_all(file) == f"the password file {file} has no password: write one in each line"


def test_a_byte_order_mark_is_refused(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfhunter2\n")
    assert refusal_of_all(file) == refusal_of_one(file)
    assert refusal_of_all(file) == (
        f"the password file {file} begins with a byte order mark: save it as UTF-8 without one"
    )


def test_eight_are_enough(file: Path) -> None:
    passwords = [b"p%d" % number for number in range(MOST)]
    file.write_bytes(b"\n\n".join(passwords))
    assert read_all(None, str(file)) == tuple(passwords)
    file.write_bytes(b"\n".join([*passwords, b"hunter2"]))
    said = refusal_of_all(file)
    assert said == f"the password file {file} has 9 passwords, one in each line; at most 8"


def test_that_of_a_login_has_one_line(file: Path) -> None:
    file.write_bytes(b"\n" + TOKEN + b"\r\n\n")
    assert read(None, str(file)) == TOKEN
    file.write_bytes(b"old\nhunter2\n")
    said = refusal_of_one(file)
    assert said.startswith(f"the password file {file} has 2 passwords, one in each line, but a login needs exactly one")
    assert "hunter2" not in said


def test_a_file_that_cannot_be_read_or_is_huge_is_named(file: Path) -> None:
    assert refusal_of_all(file) == f"the password file {file} cannot be read: No such file or directory"
    file.mkdir()
    assert refusal_of_one(file) == f"the password file {file} cannot be read: Is a directory"
    assert refusal_of_one(Path("/dev/zero")).startswith("the password file /dev/zero is larger than 16384 bytes")
