"""ClickHouse as a server for tests: the real engine (chdb) behind a small HTTP front.

Usage: clickhouse_front.py PORT FOLDER DATA

The engine, its tables and its answers are ClickHouse's own. The front is not: it runs four requests
at once, knows neither users nor sessions, and neither compresses nor takes what is
compressed; an answer is sent when it is whole; settings hold for their own request. Of the
parameters of a URL it knows `query`, `database` and `default_format`; all others are settings.
"""

import http.server
import os
import queue
import re
import sys
import urllib.parse

from chdb import session

BODY_MAX = 1 << 30
# Requests that run at once, each in a session of its own.
SESSIONS = 4
INSERT = re.compile(r"\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)
SETTING = re.compile(r"[a-z][a-z0-9_]*$")
CODE = re.compile(r"Code: (\d+)")
# What the front does by itself, whatever is asked for.
IGNORED = {"wait_end_of_query", "http_wait_end_of_query"}


class Engine:
    """Sessions of the engine on the same data; a request has one for itself."""

    def __init__(self, folder, data):
        self.idle = queue.SimpleQueue()
        for number in range(SESSIONS):
            place = os.path.join(folder, f"input-{number}")
            self.idle.put(Session(session.Session(data), place))

    def run(self, sql, body, parameters):
        one = self.idle.get()
        try:
            return one.run(sql, body, parameters)
        finally:
            self.idle.put(one)


class Session:
    """One session, and the file that its inserts go through."""

    def __init__(self, engine, place):
        self.session = engine
        self.input = place

    def run(self, sql, body, parameters):
        """Runs a statement with the body that belongs to it, and returns the answer's bytes."""
        output = parameters.pop("default_format", "TabSeparated")
        database = parameters.pop("database", "default")
        settings = {k: v for k, v in parameters.items() if k not in IGNORED}
        for name in settings:
            if not SETTING.match(name):
                raise ValueError(f"Code: 115. DB::Exception: no setting {name!r}")
        try:
            self.execute(f"USE {quoted_name(database)}")
            for name, value in settings.items():
                self.execute(f"SET {name} = {quoted(value)}")
            return self.statement(sql, body, output)
        finally:
            for name in settings:
                self.execute(f"SET {name} = DEFAULT")

    def statement(self, sql, body, output):
        insert = INSERT.match(sql)
        if not insert:
            return self.execute(sql + "\n" + body.decode(), output)
        # The engine's own parser reads the rows; a query's text could not hold their bytes.
        with open(self.input, "wb") as file:
            file.write(body)
        into, form = insert.groups()
        return self.execute(f"{into} FROM INFILE {quoted(self.input)} FORMAT {form}")

    def execute(self, sql, output="TabSeparated"):
        answer = self.session.query(sql, output)
        return answer.bytes() if answer is not None else b""


def quoted(text):
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted_name(text):
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = None

    def do_GET(self):
        self.answer(200, b"Ok.\n")

    def do_POST(self):
        parameters = dict(urllib.parse.parse_qsl(self.path.partition("?")[2], True))
        try:
            body = self.body()
            sql = parameters.pop("query", None)
            if sql is None:
                sql, body = body.decode(), b""
            self.answer(200, self.engine.run(sql, body, parameters))
        except Exception as error:  # Whatever the engine says is the answer.
            text = str(error)
            code = CODE.search(text)
            self.answer(500, text.encode(), code.group(1) if code else "1002")

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_MAX))
        pieces, total = [], 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += size
            if total > BODY_MAX:
                self.close_connection = True
                raise ValueError("Code: 307. DB::Exception: the body is too large for the front")
            pieces.append(self.rfile.read(size))
            if len(pieces[-1]) != size:
                raise ValueError("Code: 33. DB::Exception: the body ends too early")
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def answer(self, status, body, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    port, folder, data = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    Handler.engine = Engine(folder, data)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
