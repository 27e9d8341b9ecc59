"""Runs a program on a terminal of its own: terminal.py STEPS PROGRAM [ARGUMENT ...]

STEPS is JSON: [["see", TEXT], ["type", TEXT], ...]. Prints what the program wrote, then a line with
its exit status, or the signal that ended it as a negative number.
"""
import json, os, pty, select, sys, time

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, begin, deadline = b"", 0, time.monotonic() + 120
while time.monotonic() < deadline:
    while steps:
        action, text = steps[0]
        if action == "type":
            os.write(terminal, text.encode())
        else:
            place = seen.find(text.encode(), begin)
            if place < 0:
                break
            begin = place + len(text.encode())
        steps.pop(0)
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
else:
    os.kill(pid, 9)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(seen.replace(b"\r\n", b"\n"))
print("\nstatus", status, "steps left", len(steps))
