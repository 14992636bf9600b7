#!/usr/bin/env python3
# A stand-in for the submission socket: submission.py SOCKET DIRECTORY [LIMIT]
#
# It takes SMTP on SOCKET and writes each message it took to DIRECTORY/N.eml:
# the MAIL and RCPT commands, an empty line, the data as it came over the wire
# without the final dot.  Recipients are judged by their local part: those
# of REFUSALS are refused, each in its way.  A message whose sender begins
# with "full" or "unwanted" is refused at MAIL, one that begins with "huge"
# after its data; the DATA of one with "eager" is answered with 250, and with
# "vanish" the connection closes at the final dot.  More than LIMIT recipients
# are 452 4.5.3; with 0 nobody is let in.

import os
import socketserver
import sys

REFUSALS = {
    b"nobody": b"550 5.1.1 no such user",
    b"relaying": b"550 5.7.1 relaying denied",
    b"syntax": b"553 5.1.3 bad address",
    b"later": b"451 4.3.0 try again",
    b"busy": b"452 4.2.2 mailbox full",
    b"noroute": b"550 5.4.4 no route",
    b"order": b"503 5.5.1 not now",
    b"text": b"554 5.6.0 no",
}
directory = sys.argv[2]
limit = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
count = 0


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line + b"\r\n")

    def mail(self, line):
        if line.startswith(b"MAIL FROM:<full"):
            return b"452 4.3.1 no space"
        if line.startswith(b"MAIL FROM:<unwanted"):
            return b"501 5.1.7 bad sender"
        self.envelope = [line]
        return b"250 2.1.0 ok"

    def rcpt(self, line):
        local = line.split(b"<")[1].split(b"@")[0].split(b">")[0]
        if local in REFUSALS:
            return REFUSALS[local]
        if len(self.envelope) > limit:
            return b"452 4.5.3 too many recipients"
        self.envelope.append(line)
        return b"250 2.1.5 ok"

    def data(self, line):
        global count
        if len(self.envelope) < 2:
            return b"554 5.5.1 no recipients"
        if self.envelope[0].startswith(b"MAIL FROM:<eager"):
            return b"250 2.0.0 taken, whatever it is"
        self.say(b"354 go on")
        lines = []
        while (text := self.rfile.readline()) != b".\r\n":
            if not text:
                return None
            lines.append(text)
        if self.envelope[0].startswith(b"MAIL FROM:<vanish"):
            return None
        if self.envelope[0].startswith(b"MAIL FROM:<huge"):
            return b"552 5.3.4 too big"
        count += 1
        path = os.path.join(directory, "%d.eml" % count)
        with open(path + ".tmp", "wb") as out:
            out.write(b"\n".join(self.envelope) + b"\n\n")
            out.write(b"".join(lines))
        os.rename(path + ".tmp", path)
        self.envelope = []
        return b"250 2.0.0 taken"

    def handle(self):
        self.envelope = []
        if limit == 0:
            self.say(b"554 5.3.2 closed")
            return
        self.say(b"220 stand-in ESMTP")
        while line := self.rfile.readline():
            line = line.rstrip(b"\r\n")
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.say(b"250-stand-in\r\n250-PIPELINING\r\n250-8BITMIME"
                         b"\r\n250-SIZE\r\n250 DSN")
                continue
            if verb == b"QUIT":
                self.say(b"221 2.0.0 bye")
                return
            handler = {b"MAIL": self.mail, b"RCPT": self.rcpt,
                       b"DATA": self.data}.get(verb)
            reply = handler(line) if handler else b"250 2.0.0 ok"
            if reply is None:
                return
            self.say(reply)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


with Server(sys.argv[1], Session) as server:
    server.serve_forever()
