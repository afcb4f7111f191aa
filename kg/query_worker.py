"""The worker: answers one query after the other over a socket, from the store that it was forked with.

It may be killed at any time. It answers whole: what it sends is a finished result or an error, and an error of the
kernel's making (out of memory, out of stack, out of time) ends it before it has sent anything.
"""

from __future__ import annotations

import gzip
import resource
import signal
import socket

from kg.errors import NextlineError, QueryTooLarge
from kg.query_messages import Question, Reply, packed, read_question, receive, reply_header
from kg.store import KnowledgeStore, Queryable, QueryLimits

_COMPRESSED_FROM_BYTES = 1400  # below, a result fits into one packet anyway
_ALARM_AFTER_SECONDS = 0.5  # by then, the server has killed the worker if it is well
_GROWTH_KILOBYTES = 64 * 1024


def serve(store: KnowledgeStore, connection: socket.socket) -> None:
    """Answer until the other side goes, or until a query has made the process grow: then a fresh one takes over."""
    largest = _peak_kilobytes() + _GROWTH_KILOBYTES
    while (message := receive(connection)) is not None:
        question = read_question(message[0])
        signal.setitimer(signal.ITIMER_REAL, question.seconds + _ALARM_AFTER_SECONDS)
        reply = answer(store, question)
        signal.setitimer(signal.ITIMER_REAL, 0)
        is_last = _peak_kilobytes() > largest
        header = reply_header(reply) | ({"last": True} if is_last else {})
        connection.sendall(packed(header, bytes(reply.body)))
        if is_last:
            return


def answer(store: Queryable, question: Question) -> Reply:
    """Check the conditions of a question, and evaluate it. Errors are part of the reply."""
    try:
        for position, condition in enumerate(question.conditions):
            if not store.query(condition.text, bindings=condition.bindings).truth():
                return Reply(b"", failed_condition=position)
        result = store.query(
            question.checked.text,
            bindings=question.bindings,
            default_graphs=question.default_graphs,
            named_graphs=question.named_graphs,
            limits=QueryLimits(
                result_bytes=question.result_bytes, result_rows=question.result_rows, seconds=question.seconds
            ),
            checked=question.checked,
            base=question.base,
        )
        written = result.serialise(question.format)
        if not question.compress or len(written) < _COMPRESSED_FROM_BYTES:
            return Reply(written, result.written)
        return Reply(gzip.compress(written, compresslevel=1, mtime=0), result.written, is_compressed=True)
    except NextlineError as error:
        return Reply(b"", error=error)
    except MemoryError:
        return Reply(b"", error=out_of_memory())


def out_of_memory() -> QueryTooLarge:
    """The query took all the memory that a worker gets."""
    return QueryTooLarge(
        "query", "the query needs more memory than one query gets.", "Make it more selective, or group and sort less."
    )


def _peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
