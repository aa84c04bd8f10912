"""An application that does as its query says, and names the process that answers.

/?n=7 answers "7 PID". Beyond that: do=segfault, do=gil (holds the GIL for ever),
do=hog (keeps 20 MB), do=oom (takes memory until there is none), do=rlimit (more
memory than one process may have), do=big (5 MB), do=endless, do=drip (a line each
0.1 s, ten of them), do=sleep, do=hold (says so, and sleeps, 3 s if not told), do=burn (10 ms of CPU
time), do=size&size=N (N bytes in pieces; says when it begins and ends).
"""

import ctypes
import os
import resource
import time
from urllib.parse import parse_qs

hoard = []


def drip():
    for n in range(10):
        yield b'line %d\n' % n
        time.sleep(0.1)


def pieces(size):
    print('the response begins', flush=True)
    while size > 0:
        piece = min(size, 100000)
        yield bytes(piece)
        size -= piece
    print('the response ends', flush=True)


def application(environ, start_response):
    query = parse_qs(environ['QUERY_STRING'])
    number = query.get('n', ['0'])[0]
    do = query.get('do', [''])[0]
    if do == 'segfault':
        ctypes.string_at(0)
    elif do == 'gil':
        ctypes.PyDLL(None).sleep(600)
    elif do == 'hog':
        hoard.append(bytearray(os.urandom(1 << 20)) * 20)
    elif do == 'oom':
        while True:
            hoard.append(b'x' * (64 << 20))
    elif do == 'rlimit':
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 32, before[1]))
        try:
            bytearray(1 << 33)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    elif do == 'sleep':
        time.sleep(float(query.get('seconds', ['0.02'])[0]))
    elif do == 'burn':
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
    elif do == 'size':
        start_response('200 OK', [('Content-Type', 'application/octet-stream')])
        return pieces(int(query['size'][0]))
    elif do == 'hold':
        print('holds the thread', flush=True)
        time.sleep(float(query.get('seconds', ['3'])[0]))
    elif do == 'big':
        start_response('200 OK', [('Content-Type', 'application/octet-stream')])
        return (number.encode().rjust(50, b'.') * 1000 for _ in range(100))
    elif do == 'endless':
        start_response('200 OK', [('Content-Type', 'application/octet-stream')])
        return iter(lambda: bytes(65536), b'')
    elif do == 'drip':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return drip()
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('%s %d %d\n' % (number, os.getpid(), len(body))).encode()]
