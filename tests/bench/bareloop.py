"""What waiting costs without any server: threads that only wait, one time after the other.

The bound of the scenario that sleeps is what its threads could do if a wait of 10 ms took
10 ms. It takes longer: the kernel wakes a thread late, and the thread has to get the GIL
back. This tells how much of the bound is lost to that, on this machine, at this moment.
"""

import subprocess
import sys

LOOP = """
import sys, threading, time
threads, wait, end = int(sys.argv[1]), float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
done = []
def run():
    n = 0
    while time.monotonic() < end:
        time.sleep(wait)
        n += 1
    done.append(n)
started = [threading.Thread(target=run) for _ in range(threads)]
for thread in started:
    thread.start()
for thread in started:
    thread.join()
print(sum(done))
"""


def share(wait, seconds, processes=2, threads=5, python=sys.executable):
    """Returns the share of processes × threads ÷ wait that bare loops reach in so many seconds."""
    words = [python, "-c", LOOP, str(threads), str(wait), str(seconds)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    done = sum(int(process.communicate()[0]) for process in running)
    return done / (processes * threads / wait * seconds)
