"""The HTTP/1.1 protocol of every service: uvicorn's, made safe where a field of a request decides who its sender is."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """Discard the trailer fields of a chunked request.

    uvicorn merges them into the headers, where `Authorization` or `X-Caller` after the body would count as if it had
    stood before it. A recipient must not merge a trailer field unless the field's definition allows that (RFC 9110,
    section 6.5.1); none that a service here reads does.
    """

    def on_message_begin(self) -> None:
        """Collect headers until the head is complete."""
        super().on_message_begin()
        self.in_trailers = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; discard a trailer."""
        if not self.in_trailers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request; every field from here on is a trailer."""
        self.in_trailers = True
        super().on_headers_complete()
