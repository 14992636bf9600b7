#!/bin/sh
# A relay has more than a thousand connections at a time, each to a next hop
# of its own that nothing is known of: no message is answered before a
# thousand have arrived.
. "$(dirname "$0")/suite.sh"
need_root
need python3 perl

HOPS=1100
sink=$(suite_port)
cat >"$SCRATCH/sink.py" <<'EOF'
import asyncio
import sys

port, wanted = int(sys.argv[1]), int(sys.argv[2])
here = 0


async def serve(reader, writer, all_here):
    global here
    writer.write(b'220 sink\r\n')
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b'DATA':
            writer.write(b'354 go on\r\n')
            await reader.readuntil(b'\r\n.\r\n')
            here += 1
            if here == wanted:
                all_here.set()
            await all_here.wait()
        writer.write(b'221 bye\r\n' if verb == b'QUIT' else b'250 fine\r\n')


async def main():
    all_here = asyncio.Event()
    server = await asyncio.start_server(lambda r, w: serve(r, w, all_here),
                                        '0.0.0.0', port, backlog=2000)
    print('listening', flush=True)
    await server.serve_forever()

asyncio.run(main())
EOF
ulimit -n 4096
python3 "$SCRATCH/sink.py" "$sink" 1000 >"$SCRATCH/sink.out" 2>&1 &
SINKS="$SINKS $!"
wait_for 60 grep -q listening "$SCRATCH/sink.out"

hops() {
	perl -e 'printf("$ARGV[0]\n", $_, $_ / 250, $_ % 250 + 1) for
	    1 .. $ARGV[1]' "$1" "$HOPS"
}
suite_conf <<EOF
  relay-workers = 1
  retry-min     = 1s
[route]
$(hops "  @d%d.test relay(127.1.%d.%d:$sink)")
EOF
suite_start
relay=$(suite_pids relay | tail -n 1)
cat >"$SCRATCH/post" <<EOF
#!/bin/sh
printf 'Subject: to all\n\nHello\n' | "$SENDMAIL" -C "$CF" "\$@"
EOF
chmod +x "$SCRATCH/post"
hops 'u@d%d.test' | xargs -n 200 "$SCRATCH/post"
relayed_all() {
	[ "$(grep -c ' relayed ' "$SCRATCH/log")" = "$HOPS" ]
}
ok "a thousand next hops have it at a time, then all" \
    wait_for 120 relayed_all
is "by one relay" "$(suite_pids relay | tail -n 1)" "$relay"
done_testing
