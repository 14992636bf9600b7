#!/usr/bin/env python3
"""Every dialogue of this folder, or those named, against the real smtpd."""
import glob
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from dialogue import Dialogue, Failure  # noqa: E402

paths = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, "*.dialogue")))
print("1..%d" % len(paths), flush=True)
failed = 0
for number, path in enumerate(paths, 1):
    dialogue = Dialogue(path)
    name = "%s: %s" % (os.path.basename(path)[:-9], dialogue.name)
    with tempfile.TemporaryDirectory(prefix="smtp.") as directory:
        try:
            dialogue.play(directory)
            print("ok %d - %s" % (number, name), flush=True)
        except (Failure, OSError) as why:
            failed += 1
            print("not ok %d - %s" % (number, name))
            print("# line %d: %s" % (dialogue.number,
                                     str(why).replace("\n", "\n# ")),
                  flush=True)
sys.exit(1 if failed else 0)
