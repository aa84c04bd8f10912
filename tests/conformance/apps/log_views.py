"""Views that write to the error stream and to the process's own streams."""

import os
import subprocess
import sys
import threading

import support


def errors(environ, start_response):
    """Does to wsgi.errors what ?how= says, with the words in ?text=."""
    stream = environ["wsgi.errors"]
    how, text = support.query(environ, "how"), support.query(environ, "text")
    if how == "write":
        stream.write(text + "\n")
    elif how == "writelines":
        stream.writelines([text + "-one\n", text + "-two\n"])
    elif how == "iterator":
        stream.writelines(line for line in (text + "-one\n", text + "-two\n"))
    elif how == "flush":
        stream.write(text)
        stream.flush()
    elif how == "unfinished":
        stream.write(text)
    elif how == "pieces":
        for character in text:
            stream.write(character)
        stream.write("\n")
    elif how == "unicode":
        stream.write(text + "-\u20ac\u00fc\U0001f40d-\udcff-end\n")
    elif how == "bytes":
        try:
            stream.write(text.encode("ascii") + b"\n")
        except TypeError:
            return support.answer_text(start_response, "refused\n")
        return support.answer_text(start_response, "accepted\n")
    elif how == "print":
        print(text, file=stream)
    else:
        raise ValueError("how=%r" % how)
    return support.answer_text(start_response, "written\n")


def output(environ, start_response):
    """Writes ?text= to the stream that ?to= names: none of it is part of the response."""
    to, text = support.query(environ, "to"), support.query(environ, "text")
    if to == "stdout":
        print(text)
    elif to == "stderr":
        print(text, file=sys.stderr)
    elif to == "__stdout__":
        print(text, file=sys.__stdout__)
    elif to == "__stderr__":
        print(text, file=sys.__stderr__)
    elif to == "fd1":
        os.write(1, text.encode("ascii") + b"\n")
    elif to == "fd2":
        os.write(2, text.encode("ascii") + b"\n")
    elif to == "buffer":
        sys.stdout.buffer.write(text.encode("ascii") + b"\n")
        sys.stdout.buffer.flush()
    elif to == "child":
        subprocess.run([sys.executable, "-S", "-c", "print(%r)" % text], check=True)
    else:
        raise ValueError("to=%r" % to)
    return support.answer_text(start_response, "printed\n")


def stdin(environ, start_response):
    """Reads standard input, which must not be the server's protocol."""
    return support.answer_text(start_response, "%r\n" % sys.stdin.read())


def many(environ, start_response):
    """Twenty lines, each written in three pieces, while other requests do the same."""
    text = support.query(environ, "text")
    stream = environ["wsgi.errors"]
    for number in range(20):
        stream.write("%s begins %d, " % (text, number))
        stream.write("goes on in thread %d, " % (threading.get_ident() % 7))
        stream.write("%s ends %d\n" % (text, number))
    stream.flush()
    return support.answer_text(start_response, "written\n")


VIEWS = {"errors": errors, "output": output, "stdin": stdin, "many": many}
