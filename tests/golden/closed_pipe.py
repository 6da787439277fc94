"""Runs a command whose output nobody reads any more, and prints how it ended."""
import os
import subprocess
import sys

read_end, write_end = os.pipe()
os.close(read_end)
result = subprocess.run(sys.argv[1:], stdout=write_end, stderr=subprocess.PIPE, text=True)
print(f"stderr: {result.stderr!r}, exit status {result.returncode}")
