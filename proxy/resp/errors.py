"""The two ways a stream can be wrong: the client's fault, or the upstream's."""


class ProtocolError(Exception):
    """A client's bytes are not RESP: it gets `text` as an error reply, then the connection closes.

    `text` is the reply without its leading `-` and its CRLF, in Redis' words where Redis has them
    (networking.c, processMultibulkBuffer and processInlineBuffer).
    """

    def __init__(self, text: str, limit: str = "") -> None:
        """`text`: one line, starting with the error code, such as `ERR Protocol error: ...`.

        `limit`: the setting of ours that they are over, if it is that.
        """
        super().__init__(text)
        self.text = text
        self.limit = limit


class FramingError(Exception):
    """The upstream's bytes cannot be framed with certainty: both sides close, nothing is guessed."""
