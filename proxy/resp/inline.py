"""Inline commands: a line of words, with the quotes of Redis' sdssplitargs (sds.c)."""

from proxy.resp.errors import ProtocolError

MAX_INLINE_BYTES = 64 * 1024
"""Redis' PROTO_INLINE_MAX_SIZE: no line, inline or header, may be longer (bytes)."""

_SPACE = b" \t\n\v\f\r"
_WORD_END = b" \t\n\r"
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEX = b"0123456789abcdefABCDEF"


def split(line: bytes) -> list[bytes]:
    r"""The words of one inline command.

    Double quotes know `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a` and any other escaped character; single quotes
    know `\'`. A closing quote must end its word.

    Raises ProtocolError for unbalanced quotes, and for a NUL, which Redis never sees past.
    """
    if 0 in line:
        raise ProtocolError("ERR Protocol error: NUL byte in inline request")
    words: list[bytes] = []
    pos = 0
    while True:
        while pos < len(line) and line[pos] in _SPACE:
            pos += 1
        if pos == len(line):
            return words
        word, pos = _word(line, pos)
        words.append(word)


def _word(line: bytes, pos: int) -> tuple[bytes, int]:
    word = bytearray()
    while pos < len(line) and line[pos] not in _WORD_END:
        char = line[pos]
        pos += 1
        if char == ord('"'):
            pos = _double_quoted(line, pos, word)
        elif char == ord("'"):
            pos = _single_quoted(line, pos, word)
        else:
            word.append(char)
            continue
        if pos < len(line) and line[pos] not in _SPACE:
            raise _unbalanced()
        break
    return bytes(word), pos


def _double_quoted(line: bytes, pos: int, word: bytearray) -> int:
    while pos < len(line):
        char = line[pos]
        if char == ord('"'):
            return pos + 1
        if char == ord("\\") and pos + 1 < len(line):
            digits = line[pos + 2 : pos + 4]
            if line[pos + 1] == ord("x") and len(digits) == 2 and all(digit in _HEX for digit in digits):
                word.append(int(digits, 16))
                pos += 4
            else:
                word.append(_ESCAPES.get(line[pos + 1], line[pos + 1]))
                pos += 2
        else:
            word.append(char)
            pos += 1
    raise _unbalanced()


def _single_quoted(line: bytes, pos: int, word: bytearray) -> int:
    while pos < len(line):
        if line[pos] == ord("'"):
            return pos + 1
        if line[pos : pos + 2] == b"\\'":
            pos += 1
        word.append(line[pos])
        pos += 1
    raise _unbalanced()


def _unbalanced() -> ProtocolError:
    return ProtocolError("ERR Protocol error: unbalanced quotes in request")
