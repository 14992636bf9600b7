"""Plays dialogues, kept as text files, against a real smtpd.

Lines of a dialogue:
  # ...             a comment; the first one is the test's name
  = KEY = VALUE     a setting of the [smtpd]
  @ LINE            told to the stand-in (standin.c), waited for
  on local          talk to the local socket instead
  on NAME           (re)connect; later C: and S: are about connection NAME
  C: TEXT           sent with CRLF; C: lines in a row leave in one write
  c: TEXT           the same without CRLF; \\r \\n \\0 \\xHH \\\\ are understood
  S: TEXT           a line is expected that begins so
  S~ REGEX          a line is expected that matches from its beginning
  EOF               the server is expected to close
  close             we close
  end               the suite ends
  wait SECONDS
  big N             N octets of body are sent, in lines
  message TEXT      the last message taken contains this line
  lacks TEXT        it contains no such line
  envelope TEXT     its envelope contains this
  none              no message was taken
  log TEXT          a line of the log contains this, and this & this
  memory KBYTES     smtpd has never held more
"""
import os
import re
import select
import socket
import subprocess
import time

TIMEOUT = 15
BUILD = os.environ.get("BUILD", "build")
HERE = os.path.dirname(os.path.abspath(__file__))
CONF = "[core]\n  hostname = mx.example.test\n  mail-name = example.test\n"


# A jail has no room for the search for leaks.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")


class Failure(Exception):
    pass


class Standin:
    """A real smtpd with the stand-in around it."""

    def __init__(self, directory, settings):
        self.directory = directory
        extra = self.jail() if os.geteuid() == 0 else ()
        conf = os.path.join(directory, "conf")
        with open(conf, "w") as out:
            out.write(CONF + '[smtpd "test"]\n')
            out.writelines("  %s\n" % line for line in settings)
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "regress/smtp/standin"),
             os.path.join(BUILD, "smtpd/smtpd"), conf, directory, *extra],
            bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = self.pid = None
        while self.pid is None:
            words = self.line().split()
            if words[0] == "listener":
                self.port = int(words[2])
            elif words[0] == "ready":
                self.pid = int(words[1])

    def jail(self):
        """As root: the whole jail, as somebody with an empty root."""
        root = os.path.join(self.directory, "empty")
        os.mkdir(root, 0o555)
        return ("65534", "65534", root)

    def line(self):
        if not select.select([self.process.stdout], [], [], TIMEOUT)[0]:
            raise Failure("the stand-in is silent")
        line = self.process.stdout.readline().decode()
        if line == "":
            raise Failure("the stand-in has ended")
        return line.rstrip("\n")

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        if self.line() != "ok":
            raise Failure("the stand-in does not obey")

    def connect(self, local=False):
        if local:
            client = socket.socket(socket.AF_UNIX)
            client.connect(os.path.join(self.directory, "submit"))
        else:
            client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(TIMEOUT)
        return client

    def read(self, name):
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read().decode("latin-1")

    def last(self):
        numbers = [int(n) for n in os.listdir(self.directory)
                   if n.isdigit()]
        return str(max(numbers)) if numbers else None

    def end(self):
        """Close; returns smtpd's exit status."""
        if self.process.poll() is None:
            self.process.stdin.close()
        try:
            return self.process.wait(TIMEOUT)
        finally:
            self.process.stdout.close()


class Connection:
    def __init__(self, client):
        self.client = client
        self.input = b""

    def receive_line(self):
        while b"\r\n" not in self.input:
            more = self.client.recv(65536)
            if not more:
                raise Failure("closed, a line was expected")
            self.input += more
        line, self.input = self.input.split(b"\r\n", 1)
        return line.decode("latin-1")

    def expect_end(self):
        if self.input:
            raise Failure("the end was expected, not %r" % self.input)
        try:
            more = self.client.recv(65536)
        except ConnectionResetError:
            return
        if more:
            raise Failure("the end was expected, not %r" % more)


def unescape(text):
    table = {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}
    return re.sub(r"\\(x([0-9a-f]{2})|.)", lambda m: chr(int(m[2], 16))
                  if m[2] else table[m[1]], text).encode("latin-1")


class Dialogue:
    def __init__(self, path):
        with open(path) as file:
            self.lines = [line.rstrip("\n") for line in file]
        self.name = self.lines[0].lstrip("# ")
        self.settings = [line[2:] for line in self.lines
                         if line.startswith("= ")]
        self.number = 0

    def play(self, directory):
        self.standin = Standin(directory, self.settings)
        self.connections = {}
        self.local = "on local" in self.lines
        self.pending = b""
        try:
            self.current = None
            for self.number, line in enumerate(self.lines, 1):
                if line and line[0] not in "#=":
                    self.step(line)
            self.flush()
        finally:
            for connection in self.connections.values():
                connection.client.close()
            status = self.standin.end()
        if status != 0:
            raise Failure("smtpd ended with %d" % status)

    def peer(self):
        if self.current is None:
            self.use("first")
        return self.current

    def use(self, name):
        if name not in self.connections:
            self.connections[name] = Connection(
                self.standin.connect(self.local))
        self.current = self.connections[name]

    def flush(self):
        if self.pending:
            self.peer().client.sendall(self.pending)
        self.pending = b""

    def step(self, line):
        kind, _, text = line.partition(" ")
        if kind in ("C:", "c:"):
            self.pending += unescape(text)
            if kind == "C:":
                self.pending += b"\r\n"
            return
        self.flush()
        getattr(self, "do_" + {"S:": "begins", "S~": "matches", "@": "tell"}
                .get(kind, kind.lower()))(text)

    def do_begins(self, text):
        line = self.peer().receive_line()
        if not line.startswith(text):
            raise Failure("expected %r, got %r" % (text, line))

    def do_matches(self, text):
        line = self.peer().receive_line()
        if not re.match(text, line):
            raise Failure("expected /%s/, got %r" % (text, line))

    def do_tell(self, text):
        self.standin.tell(text)

    def do_on(self, text):
        if text != "local":
            self.use(text)

    def do_eof(self, _):
        self.peer().expect_end()

    def do_close(self, _):
        self.peer().client.close()
        for name, connection in list(self.connections.items()):
            if connection is self.current:
                del self.connections[name]
        self.current = None

    def do_end(self, _):
        self.standin.process.stdin.close()

    def do_wait(self, text):
        time.sleep(float(text))

    def do_big(self, text):
        line = b"x" * 70 + b"\r\n"
        left = int(text)
        while left > 0:
            self.peer().client.sendall((line * 1000)[:left - left % 72
                                                     or 72])
            left -= min(left, 72000)

    def message(self):
        last = self.standin.last()
        if last is None:
            raise Failure("no message was taken")
        return last

    def do_message(self, text):
        if text not in self.standin.read(self.message()).split("\r\n"):
            raise Failure("no line %r in the message" % text)

    def do_lacks(self, text):
        if text in self.standin.read(self.message()):
            raise Failure("%r is in the message" % text)

    def do_envelope(self, text):
        envelope = self.standin.read(self.message() + ".envelope")
        if text not in envelope:
            raise Failure("no %r in the envelope:\n%s" % (text, envelope))

    def do_none(self, _):
        if self.standin.last() is not None:
            raise Failure("a message was taken")

    def do_log(self, text):
        for _ in range(50):
            log = self.standin.read("log")
            if any(all(word in line for word in text.split(" & "))
                   for line in log.split("\n")):
                return
            time.sleep(0.1)
        raise Failure("no %r in the log" % text)

    def do_memory(self, text):
        if BUILD.rstrip("/").endswith("san"):
            return      # a sanitizer keeps what is freed
        with open("/proc/%d/status" % self.standin.pid) as status:
            most = int(re.search(r"VmHWM:\s*(\d+)", status.read())[1])
        if most > int(text):
            raise Failure("smtpd held %d kB" % most)
