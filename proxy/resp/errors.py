"""The errors for invalid bytes of a client and of Redis."""


class ProtocolError(Exception):
    """A client's bytes are not RESP. The client gets `text` as an error reply, then the connection closes.

    `text` is the reply without the leading `-` and the CRLF. It is Redis' own text if Redis has the same error
    (networking.c, processMultibulkBuffer and processInlineBuffer).
    """

    def __init__(self, text: str, limit: str = "") -> None:
        """`text`: one line, starting with the error code, such as `ERR Protocol error: ...`.

        `limit`: the name of the exceeded setting in `[limits]`, if the error is a limit of the proxy.
        """
        super().__init__(text)
        self.text = text
        self.limit = limit


class FramingError(Exception):
    """Redis' bytes are not valid RESP. Both sides close; the proxy never resynchronises."""
