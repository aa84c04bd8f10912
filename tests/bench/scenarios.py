"""What is asked of the servers, and what counts as a right answer."""

import dataclasses
import gzip
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import install

KIB = 1024
SMALL_FILES = 10_000


class WrongAnswer(Exception):
    """A server answered something else than the scenario asks for."""


@dataclass(frozen=True)
class Scenario:
    name: str
    path: str = "/"
    method: str = "GET"
    fields: dict = field(default_factory=dict)  # request header fields
    body: bytes = b""
    status: int = 200
    answer: Optional[bytes] = b"Hello world\n"  # None: any
    coding: str = ""  # content coding that the answer must have; answer is the decoded content
    revalidate: bool = False  # send the validators that an unconditional GET returned
    paths: tuple = ()  # requested at random instead of path
    codings: tuple = ()  # values of Accept-Encoding that the paths take in turn
    mean_size: int = 0  # bytes of the mean body, with paths
    seconds: float = 0  # time that the application waits: bounds the requests per second by the slots of the server
    fixed_size: int = 0  # bytes of the response that the fixed server gives as the ceiling; 0: no ceiling


@dataclass(frozen=True)
class Answer:
    """The verified answer of one server: what wrk has to send, and gets back."""

    fields: dict  # request header fields
    wire_bytes: float  # status line, header fields and body of the response


def ask(site, scenario, fields):
    connection = site.connect(timeout=10)
    try:
        connection.request(scenario.method, scenario.path, body=scenario.body or None, headers=fields)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def verify(site, scenario):
    """Ask once; raise WrongAnswer if status, content coding or body are not the scenario's."""
    fields = {"Accept-Encoding": "identity", **scenario.fields}
    if scenario.revalidate:
        first, _ = ask(site, scenario, fields)
        for validator, condition in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
            if first.getheader(validator):
                fields[condition] = first.getheader(validator)
    response, body = ask(site, scenario, fields)
    if response.status != scenario.status:
        raise WrongAnswer(f"status {response.status}, want {scenario.status}")
    coding = response.getheader("Content-Encoding", "")
    if coding != scenario.coding:
        raise WrongAnswer(f"content coding {coding or 'identity'}, want {scenario.coding or 'identity'}")
    content = gzip.decompress(body) if coding == "gzip" else body
    if scenario.answer is not None and content != scenario.answer:
        raise WrongAnswer(f"body of {len(content)} bytes is not the expected one of {len(scenario.answer)}")
    head = len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n")
    head += sum(len(name) + len(value) + len(": \r\n") for name, value in response.getheaders())
    if response.getheader("Transfer-Encoding") == "chunked":
        head += len(f"{len(body):x}\r\n\r\n0\r\n\r\n")  # of one chunk; the framing of more hardly counts
    return Answer(fields, head + (scenario.mean_size or len(body)))


def as_fixed(scenario):
    """The same request, for the fixed server, which has bytes of its own to answer with."""
    return dataclasses.replace(scenario, answer=None)


WSGI = [
    Scenario("12 bytes", fixed_size=12),
    Scenario("sleep 10 ms", path="/sleep", seconds=0.010),
    Scenario("POST echo 10 KiB", path="/echo", method="POST", body=b"0123456789" * KIB, answer=b"0123456789" * KIB,
             fields={"Content-Type": "application/octet-stream"}, fixed_size=12),
]

DJANGO = [Scenario("Django plain view", fixed_size=12)]


def static(document_root, over_tls):
    """Fill the document root, and return the scenarios that ask for its files.

    Over TLS these are the files alone: what it adds is the same for the rest.
    """
    generator = random.Random(20240229)  # the same files in every run
    hour_ago = time.time() - 3600  # older than any server's doubt about a fresh file

    def create(name, content):
        path = Path(document_root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (hour_ago, hour_ago))
        return content

    scenarios = []
    for label, size in (("1 KiB", KIB), ("10 KiB", 10 * KIB), ("100 KiB", 100 * KIB),
                        ("1 MiB", KIB * KIB), ("10 MiB", 10 * KIB * KIB)):
        name = label.replace(" ", "") + ".bin"
        content = create(name, generator.randbytes(size))
        scenarios.append(Scenario(label, path="/" + name, answer=content, fixed_size=size if size <= KIB else 0))

    contents = [generator.randbytes(generator.randint(200, 4 * KIB)) for _ in range(SMALL_FILES)]
    names = [f"small/{number // 100:02}/{number % 100:02}.html" for number in range(SMALL_FILES)]
    for name, content in zip(names, contents):
        create(name, content)
    scenarios.append(Scenario("10,000 small files", path="/" + names[0], answer=contents[0],
                              paths=tuple("/" + name for name in names),
                              mean_size=sum(map(len, contents)) // SMALL_FILES))

    if over_tls:
        return [dataclasses.replace(scenario, name=scenario.name + " over TLS") for scenario in scenarios]
    scenarios.append(Scenario("304", path="/1KiB.bin", status=304, answer=b"", revalidate=True))
    scenarios.append(Scenario("404", path="/small/absent.html", status=404, answer=None))

    # A real script: jQuery, as Django's admin carries it, cut to size.
    jquery = next(install.virtual_environment().glob("lib/*/site-packages/django/contrib/admin/static/**/jquery.js"))
    script = jquery.read_bytes()[: 100 * KIB]
    accept = {"Accept-Encoding": "gzip"}
    create("sibling.js", script)
    create("sibling.js.gz", gzip.compress(script, 9))
    scenarios.append(Scenario("precompressed 100 KiB script", path="/sibling.js", answer=script, fields=accept, coding="gzip"))
    create("script.js", script)
    scenarios.append(Scenario("gzip on the fly, 100 KiB script", path="/script.js", answer=script, fields=accept, coding="gzip"))
    return scenarios
