"""A node that answers as a script says: for what no real node does on demand."""
import contextlib
import http.server
import json
import socketserver
import threading


def answer(status=200, body=b"", **headers):
    """What a script returns. Header names are given with _ for -."""
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


def ok(start="warm", timing="", body=b"result"):
    return answer(200, body, X_Start_Type=start, Server_Timing=timing)


def error(status, kind, sentence):
    return answer(status, json.dumps({"result": None, "error": sentence, "type": kind}).encode(), X_Function_Error=kind)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece

    def do_POST(self):
        node = self.server.node
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with node.lock:
            number = len(node.requests)
            node.requests.append(Request(self.path, dict(self.headers), body))
            node.arrived.notify_all()
        reply = node.script(number, node.requests[number])
        if reply is None:  # hangs up without an answer
            self.close_connection = True
            return
        status, headers, body = reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body

    def json(self):
        return json.loads(self.body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):  # callers that go away are part of the tests
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)

    def handle_error(self, *_):
        pass


class FakeNode:
    def __init__(self, script):
        self.script, self.requests = script, []
        self.lock = threading.Lock()
        self.arrived = threading.Condition(self.lock)

    def wait_for(self, count):
        """Returns once so many requests have arrived."""
        with self.lock:
            self.arrived.wait_for(lambda: len(self.requests) >= count)


@contextlib.contextmanager
def fake_node(script, unix_socket=None):
    """`script(number, request)` is called for each request, in a thread of its connection."""
    node = FakeNode(script)
    server = UnixServer(str(unix_socket), Handler) if unix_socket else Server(("127.0.0.1", 0), Handler)
    server.node = node
    node.address = f"unix:{unix_socket}" if unix_socket else f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
