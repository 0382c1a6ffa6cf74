"""Memory of freed messages is used for the next ones, or given back."""

import platform
import subprocess
import sys

PROGRAM = """
import resource
import sys
from braggwatch.streamer.memory import keep_freed_memory

def faults_of_large_messages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        queue = [bytes([n]) * 1_300_000 for n in range(20)]
        del queue
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

kept = keep_freed_memory()
faults_of_large_messages()
print(kept, faults_of_large_messages())
"""


def test_a_queue_of_large_messages_costs_no_page_faults_once_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    kept, faults = done.stdout.split()
    glibc = platform.libc_ver()[0] == "glibc"
    assert kept == str(glibc)
    assert not glibc or int(faults) < 500  # more than 60,000 where every page is taken anew


HOLES = """
import psutil
import random
from braggwatch.streamer.memory import give_back_freed_memory

given_back = give_back_freed_memory()
blocks = [bytes([1]) * random.Random(n).randint(300_000, 1_500_000) for n in range(200)]
full = psutil.Process().memory_info().rss
del blocks[:-1]
print(given_back, full - psutil.Process().memory_info().rss)
"""


def test_large_blocks_go_back_to_the_system_though_the_last_one_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True, timeout=60)
    given_back, freed = done.stdout.split()
    glibc = platform.libc_ver()[0] == "glibc"
    assert given_back == str(glibc)
    assert not glibc or int(freed) > 150_000_000
