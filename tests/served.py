"""A server on this machine, whose paths serve files well or badly; no test asks another."""

import contextlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Each path is a method."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        getattr(self, self.path.strip("/").partition(".")[0])()

    def answer(self, data, status=200, length=None, **headers):
        self.send_response(status)
        if length != "untold":
            self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked may have had enough
            self.wfile.write(data)

    def part(self, data, **headers):
        """What the request names of these bytes; all of them if it names none."""
        if not self.headers["Range"]:
            return self.answer(data, **headers)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or len(data)), len(data) - 1)
        if first > last:
            return self.answer(b"", 416, Content_Range=f"bytes */{len(data)}")
        span = f"bytes {first}-{last}/{len(data)}"
        return self.answer(data[first : last + 1], 206, Content_Range=span, **headers)

    def forbidden(self):
        self.send_error(403)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.asked, self.stopped = [], threading.Event()

    def places(self, *paths):
        return tuple(f"http://127.0.0.1:{self.server_port}/{path}" for path in paths)


@contextlib.contextmanager
def running(handler):
    """The server, as long as it is wanted."""
    server = Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
