"""rowsum_terminal_test.py SLUICE_ROWSUM: its bar on a terminal, and Ctrl-C. Ends with 77 where no terminal is to be had."""

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios

program = sys.argv[1]


def on_a_terminal(arguments, columns, on_output=lambda child: None):
    """Runs with standard error on a terminal; returns the exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([program, *arguments], stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        written += some
        on_output(child)
    out, _ = child.communicate(timeout=120)
    os.close(ours)
    return child.returncode, written.decode(), out.decode()


try:
    for end in pty.openpty():
        os.close(end)
except OSError as e:
    print(f"skipped: no pseudo-terminal: {e}")
    sys.exit(77)

folder = tempfile.mkdtemp()
os.chdir(folder)

# A bar on a terminal, within its width; Ctrl-C.
with open("large.bin", "wb") as f:
    f.truncate(64 << 30)
summing = ["large.bin", "--columns", "1024", "-o", "large.npy"]


def once(*signals):
    """Sends the signals at the first output, and none at the second: that one ends a process that is about to end well."""
    left = list(signals)

    def send(child):
        while left:
            child.send_signal(left.pop(0))

    return send


for columns in [120, 40]:
    code, bar, out = on_a_terminal(summing, columns, once(signal.SIGINT))
    assert code == 130 and out == "", (code, bar, out)
    lines = bar.replace("\x1b[K", "").replace("\n", "\r").split("\r")
    assert any("68.72 GB" in line and "GB/s" in line and "left" in line or columns == 40 for line in lines), bar
    assert any("[" in line for line in lines) and all(len(line) < columns for line in lines if "cancelled" not in line), bar
    assert "cancelled after" in bar
    assert "large.npy" not in os.listdir("."), os.listdir(".")

# A second signal, here before the first has had any effect, ends it as if nobody had asked for the first.
code, bar, out = on_a_terminal(summing, 120, once(signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT))
assert code in (-signal.SIGINT, -signal.SIGTERM) and "cancelled" not in bar, (code, bar, out)

# Bytes of an .npy are nothing to look at.
ours, theirs = pty.openpty()
done = subprocess.run([program, "large.bin", "--columns", "1024", "-o", "-"], stdout=theirs, stderr=subprocess.PIPE, timeout=120)
assert done.returncode == 2 and b"standard output is a terminal" in done.stderr, done
for end in (ours, theirs):
    os.close(end)

shutil.rmtree(folder)
