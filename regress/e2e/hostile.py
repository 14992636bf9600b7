#!/usr/bin/env python3
# Servers that misbehave, each in its own way:
#
#	hostile.py routes PORT SECOND	lines for [route]: mail for NAME.test
#				goes to the host NAME, then to SECOND
#	hostile.py names	a line each: NAME, what must become of a message,
#				parted by `|'
#	hostile.py serve PORT LOG [CERTIFICATE]
#
# A host is one address of 127.1.0.0/16, all at PORT.  LOG gets a line for
# each message that such a host has taken, whole and with a reply that says
# so (`NAME took SUBJECT'), and for what a client does that it must not
# (`NAME WRONG ...').
#
# What must become of a message: `here' the host took it; `second' the other
# host got it at once; `deferred' it waits; `bounced' the host refused it.
# CUT hosts end the connection after that many octets of theirs.

import os
import socket
import ssl
import struct
import sys
import threading
import time

CRLF = b"\r\n"
NORMAL = {
    "greet": b"220 hostile.test ESMTP\r\n",
    "ehlo": b"250-hostile.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n"
            b"250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
    "helo": b"250 hostile.test\r\n",
    "starttls": b"220 2.0.0 go ahead\r\n",
    "mail": b"250 2.1.0 ok\r\n",
    "rcpt": b"250 2.1.5 ok\r\n",
    "data": b"354 go ahead\r\n",
    "dot": b"250 2.0.0 taken\r\n",
    "quit": b"221 2.0.0 bye\r\n",
    "rset": b"250 2.0.0 ok\r\n",
    "noop": b"250 2.0.0 ok\r\n",
    "other": b"500 5.5.2 what\r\n",
}
SIMPLE = b"250 hostile.test\r\n"        # EHLO without PIPELINING
SECURE = b"250-hostile.test\r\n250 STARTTLS\r\n"
CUT = sum(len(NORMAL[step])
          for step in ("greet", "ehlo", "mail", "rcpt", "data", "dot"))


class Gone(Exception):
    pass


class Session:
    """One connection; `script' replaces replies, by step."""

    def __init__(self, sock, name, script, log, context):
        self.sock = sock
        self.name = name
        self.script = script
        self.log = log
        self.context = context
        self.buffer = b""
        self.sent = 0
        self.secure = False

    # ---- to and from the client

    def raw(self, octets):
        limit = self.script.get("cut")
        if limit is not None and self.sent + len(octets) > limit:
            octets = octets[:limit - self.sent]
            if octets:
                self.sock.sendall(octets)
            raise Gone
        self.sent += len(octets)
        self.sock.sendall(octets)

    def say(self, step):
        """Answer; after it the connection may be over."""
        reply = self.script.get(step, NORMAL[step])
        time.sleep(self.script.get("delay", 0))
        if callable(reply):
            reply(self)
            return b""
        pieces = self.script.get("pieces")
        if pieces:
            for i in range(0, len(reply), pieces):
                self.raw(reply[i:i + pieces])
                time.sleep(0.002)
        else:
            self.raw(reply)
        if step in self.script.get("close", ()):
            raise Gone
        return reply

    def line(self):
        while CRLF not in self.buffer:
            octets = self.sock.recv(65536)
            if not octets:
                raise Gone
            self.buffer += octets
        line, self.buffer = self.buffer.split(CRLF, 1)
        return line

    # ---- the dialogue

    def run(self):
        self.say("greet")
        while True:
            line = self.line()
            verb = line.split(b" ")[0].split(b":")[0].decode(
                "ascii", "replace").lower()
            if verb == "data":
                self.message(self.say("data"))
            elif verb == "starttls":
                self.start_tls()
            elif verb == "auth":
                self.log(f"{self.name} WRONG logs in")
                self.say("other")
            elif verb in NORMAL:
                self.say(verb)
                if verb == "quit":
                    raise Gone
            else:
                self.log(f"{self.name} WRONG command {line[:60]!r}")
                self.say("other")

    def message(self, reply):
        if not reply.startswith(b"354"):
            return
        lines = []
        while True:
            line = self.line()
            if line == b".":
                break
            lines.append(line)
        if not lines:
            self.say("noop")
            return
        subject = [line[9:] for line in lines
                   if line.lower().startswith(b"subject: ")] or [b"?"]
        answer = self.script.get("dot", NORMAL["dot"])
        try:
            self.say("dot")
        finally:
            # A cut reply is none; a whole one counts whatever follows it.
            cut = self.script.get("cut", CUT)
            if not callable(answer) and answer.startswith(b"250") and \
                    cut >= CUT:
                self.log(f"{self.name} took {subject[0].decode()}")

    def start_tls(self):
        if not self.say("starttls").startswith(b"220"):
            return
        if self.script.get("injects"):
            self.after_injection()
        if self.context is None:
            raise Gone
        self.sock = self.context.wrap_socket(self.sock, server_side=True)
        self.buffer = b""
        self.secure = True

    def after_injection(self):
        """Whoever goes on here has fallen for it."""
        try:
            self.sock = self.context.wrap_socket(self.sock, server_side=True)
            self.buffer = b""
            self.line()
        except (OSError, Gone):
            raise Gone
        self.log(f"{self.name} WRONG goes on after an injection")


# ---- replies that are no fixed text

def endless(first):
    def reply(session):
        try:
            while True:
                session.raw(first * 100)
        except OSError:
            raise Gone
    return reply


def many(count, last):
    return b"250-X-FEATURE something\r\n" * count + last


def reset(session):
    session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
    raise Gone


def then_busy(session):
    """The message is taken, and in the same breath the service ends."""
    session.raw(NORMAL["dot"] + b"421 4.3.2 closing\r\n")
    raise Gone


# ---- who is who

GOODBYE = b"421 4.3.2 too busy\r\n"
LATER = b"451 4.3.0 later\r\n"
NO = b"554 5.3.2 no\r\n"
HERE, SECOND, WAITS, BOUNCED = "here", "second", "deferred", "bounced"
MAYBE = "second|deferred"       # whichever: nothing is lost by either
ANY = "here|second|deferred"

HOSTS = [
    ("late", HERE, {"delay": 0.7}),
    ("octets", HERE, {"pieces": 1}),
    ("triples", HERE, {"pieces": 3}),
    ("bare-code", HERE, {step: NORMAL[step][:3] + CRLF
                         for step in ("greet", "mail", "rcpt", "data",
                                      "dot")}),
    ("bare-lf", ANY, {step: NORMAL[step].replace(b"\r", b"")
                      for step in ("greet", "ehlo", "mail", "rcpt", "data",
                                   "dot")}),
    ("simple", HERE, {"ehlo": SIMPLE}),
    ("no-ehlo", HERE, {"ehlo": b"500 5.5.1 what\r\n"}),
    ("no-ehlo-502", HERE, {"ehlo": b"502 5.5.1 what\r\n"}),
    ("no-helo", SECOND, {"ehlo": b"500 5.5.1 what\r\n",
                         "helo": b"500 5.5.1 what\r\n"}),
    ("reset", SECOND, {"greet": reset}),
    ("no-greeting", SECOND, {"greet": b"", "close": ("greet",)}),
    ("no-service", SECOND, {"greet": NO}),
    ("odd-greeting", SECOND, {"greet": b"SSH-2.0-OpenSSH_9.2\r\n"}),
    ("354-greeting", SECOND, {"greet": b"354 go ahead\r\n"}),
    ("354-ehlo", MAYBE, {"ehlo": b"354 go ahead\r\n"}),
    ("354-mail", MAYBE, {"mail": b"354 go ahead\r\n", "ehlo": SIMPLE}),
    ("354-rcpt", MAYBE, {"rcpt": b"354 go ahead\r\n", "ehlo": SIMPLE}),
    ("354-dot", MAYBE, {"dot": b"354 go ahead\r\n"}),
    ("250-data", MAYBE, {"data": b"250 2.0.0 ok\r\n"}),
    ("250-data-simple", MAYBE, {"data": b"250 2.0.0 ok\r\n",
                                "ehlo": SIMPLE}),
    ("220-mail", MAYBE + "|here", {"mail": b"220 hm\r\n"}),
    ("421-greet", SECOND, {"greet": GOODBYE, "close": ("greet",)}),
    ("421-ehlo", MAYBE, {"ehlo": GOODBYE, "close": ("ehlo",)}),
    ("421-mail", MAYBE, {"mail": GOODBYE, "close": ("mail",)}),
    ("421-rcpt", MAYBE, {"rcpt": GOODBYE, "close": ("rcpt",)}),
    ("421-data", MAYBE, {"data": GOODBYE, "close": ("data",)}),
    ("421-dot", MAYBE, {"dot": GOODBYE, "close": ("dot",)}),
    ("451-mail", MAYBE, {"mail": LATER}),
    ("451-rcpt", MAYBE, {"rcpt": LATER}),
    ("451-data", MAYBE, {"data": LATER}),
    ("451-dot", MAYBE, {"dot": LATER}),
    ("554-rcpt", BOUNCED, {"rcpt": b"550 5.1.1 nobody\r\n"}),
    ("554-dot", BOUNCED, {"dot": b"554 5.7.1 spam\r\n"}),
    ("554-ehlo", MAYBE, {"ehlo": NO, "helo": NO}),
    ("long-greeting", MAYBE, {"greet": b"220 " + b"x" * 300000}),
    ("long-ehlo", MAYBE, {"ehlo": b"250 " + b"x" * 300000}),
    ("long-mail", MAYBE, {"mail": b"250 " + b"x" * 300000}),
    ("long-dot", MAYBE, {"dot": b"451 " + b"x" * 300000}),
    ("long-lines", ANY, {step: NORMAL[step][:3] + b" " + b"y" * 3000 + CRLF
                         for step in ("greet", "ehlo", "mail", "rcpt",
                                      "data", "dot")}),
    ("endless-greeting", MAYBE, {"greet": endless(b"220-and\r\n")}),
    ("endless-ehlo", MAYBE, {"ehlo": endless(b"250-and\r\n")}),
    ("endless-mail", MAYBE, {"mail": endless(b"250-and\r\n")}),
    ("endless-rcpt", MAYBE, {"rcpt": endless(b"550-and\r\n")}),
    ("endless-dot", MAYBE, {"dot": endless(b"250-and\r\n")}),
    ("endless-nothing", MAYBE, {"greet": endless(b"\r\n")}),
    ("features", ANY, {"ehlo": many(200, b"250 8BITMIME\r\n")}),
    ("code-999", MAYBE, {"mail": b"999 9.9.9 what\r\n"}),
    ("code-2x0", MAYBE, {"mail": b"2x0 ok\r\n"}),
    ("code-25", MAYBE, {"mail": b"25\r\n"}),
    ("code-000", MAYBE, {"mail": b"000 ok\r\n"}),
    ("code-none", MAYBE, {"mail": b"ok\r\n"}),
    ("code-two", MAYBE, {"dot": b"451-one\r\n554 another\r\n"}),
    ("nul", ANY, {step: NORMAL[step][:3] + b" a\0b\0" + CRLF
                  for step in ("greet", "mail", "rcpt", "data", "dot")}),
    ("nul-dot", MAYBE, {"dot": b"451 4.0.0 a\0b \x01\r\n"}),
    ("eight-bit", HERE, {step: NORMAL[step][:3] + b" \xc3\xa4\xff" + CRLF
                         for step in ("greet", "mail", "rcpt", "data",
                                      "dot")}),
    ("escapes", BOUNCED, {"rcpt": b"550 5.1.1 \x1b[31mred\x07\x9b0m\r\n"}),
    ("all-at-once", MAYBE, {"greet": b"".join(
        NORMAL[step] for step in ("greet", "ehlo", "mail", "rcpt", "data",
                                  "dot"))}),
    ("two-greetings", MAYBE, {"greet": NORMAL["greet"] * 2}),
    ("two-mail", MAYBE, {"mail": NORMAL["mail"] * 2}),
    ("two-mail-simple", MAYBE, {"mail": NORMAL["mail"] * 2,
                                "ehlo": SIMPLE}),
    ("two-rcpt-simple", MAYBE, {"rcpt": NORMAL["rcpt"] * 2,
                                "ehlo": SIMPLE}),
    ("early-dot", MAYBE, {"data": NORMAL["data"] + NORMAL["dot"],
                          "dot": b"", "close": ("dot",)}),
    ("dot-twice", HERE, {"dot": NORMAL["dot"] * 2}),
    ("dot-421", HERE, {"dot": NORMAL["dot"] + GOODBYE, "close": ("dot",)}),
    ("refused-354", BOUNCED, {"rcpt": b"550 5.1.1 nobody\r\n"}),
    ("size-odd", HERE, {"ehlo": b"250-h.test\r\n250-SIZE -1\r\n250-SIZE x\r\n"
                        b"250 SIZE 99999999999999999999999999\r\n"}),
    ("size-small", BOUNCED, {"ehlo": b"250-h.test\r\n250 SIZE 9\r\n"}),
    ("tls-refused", HERE, {"ehlo": SECURE, "starttls": b"454 4.7.0 no\r\n"}),
    ("tls-garbage", HERE, {"ehlo": SECURE, "starttls":
                           b"220 go\r\n"}),
    ("tls-injection", ANY, {"ehlo": SECURE, "injects": True, "starttls":
                              b"220 go\r\n250-injected\r\n250 AUTH PLAIN"
                              b"\r\n250 ok\r\n250 ok\r\n354 ok\r\n"}),
] + [(f"cut-{n}", SECOND if n <= len(NORMAL["greet"]) else
      WAITS + "|second" if n < CUT else HERE, {"cut": n})
     for n in range(CUT + 1)]


def tls_garbage(session):
    session.raw(b"220 go\r\n")
    time.sleep(0.1)
    session.raw(b"this is no handshake\r\n" * 10)
    raise Gone


for _name, _fate, _script in HOSTS:
    if _name == "tls-garbage":
        _script["starttls"] = tls_garbage


def address(number):
    return f"127.1.{number // 250}.{number % 250 + 1}"


# ---- the program

def routes(port, second):
    for number, (name, _, _) in enumerate(HOSTS):
        print(f"  @{name}.test  relay({address(number)}:{port}, {second})")


def serve(port, path, certificate):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    out = open(path, "a", buffering=1)
    lock = threading.Lock()

    def log(text):
        with lock:
            print(text, file=out)

    def one(sock, name, script):
        session = Session(sock, name, script, log, context)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session.run()
        except (Gone, OSError):
            pass
        finally:
            session.sock.close()

    def listen(number, name, script):
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address(number), port))
        server.listen(20)
        ready.append(name)
        while True:
            sock = server.accept()[0]
            threading.Thread(target=one, args=(sock, name, script),
                             daemon=True).start()

    ready = []
    threading.stack_size(256 * 1024)
    for number, (name, _, script) in enumerate(HOSTS):
        threading.Thread(target=listen, args=(number, name, script),
                         daemon=True).start()
    while len(ready) < len(HOSTS):
        time.sleep(0.01)
    log("ready")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    if sys.argv[1] == "routes":
        routes(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "names":
        for name, fate, _ in HOSTS:
            print(name, fate)
    else:
        serve(int(sys.argv[2]), sys.argv[3],
              sys.argv[4] if len(sys.argv) > 4 else None)
    sys.stdout.flush()
    os._exit(0)
