"""Code that runs in a process of its own."""

import subprocess
import sys


def printed(code):
    """What a new interpreter prints for this code; an error where it fails."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
