"""Named errors. Each says where the problem is, what it is, and how to mend it."""

from __future__ import annotations


class NextlineError(Exception):
    """A foreseeable failure.

    `place` names the file, field or IRI concerned, `problem` what is wrong there and `mend` what to do about it.
    """

    slug = "error"

    def __init__(self, place: str, problem: str, mend: str) -> None:
        super().__init__(place, problem, mend)
        self.place = place
        self.problem = problem
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.place}: {self.problem} {self.mend}"


class OntologyNotFound(NextlineError):
    """The folder of the ontology, its catalog or its root module is not there."""

    slug = "ontology-not-found"


class OntologySyntaxError(NextlineError):
    """A module does not parse."""

    slug = "ontology-syntax"


class ImportNotFound(NextlineError):
    """A module imports an IRI that the catalog does not resolve to a file."""

    slug = "import-not-found"


class InconsistentOntology(NextlineError):
    """The ontology contradicts itself: nothing can be inferred from it."""

    slug = "ontology-inconsistent"


class UnsatisfiableClass(NextlineError):
    """One or several classes can have no member."""

    slug = "class-unsatisfiable"


class StaleClosure(NextlineError):
    """The committed closure module was generated from other modules than those beside it."""

    slug = "closure-stale"


class UnsupportedAxiom(NextlineError):
    """An axiom breaks a rule on which the meaning of an answer rests."""

    slug = "axiom-unsupported"


class ReasonerTimeout(NextlineError):
    """The reasoner did not finish before its deadline; its processes were killed."""

    slug = "reasoner-timeout"


class ReasonerFailure(NextlineError):
    """The reasoner ended with an error of its own."""

    slug = "reasoner-failure"


class BuildNotFound(NextlineError):
    """There is no finished build, or it is of another format."""

    slug = "build-not-found"


class InvalidFile(NextlineError):
    """An RDF file that is to be served cannot be read."""

    slug = "invalid-file"


class NotWritable(NextlineError):
    """A folder or file cannot be written."""

    slug = "not-writable"


class InvalidRecord(NextlineError):
    """A patient record breaks the contract."""

    slug = "invalid-record"


class ContradictoryRecord(InvalidRecord):
    """A record says of one thing that it is both present and absent, or cannot be true as a whole."""

    slug = "contradictory-record"


class UnknownGuideline(InvalidRecord):
    """A request names a guideline that the ontology does not hold."""

    slug = "unknown-guideline"


class UnknownQuery(NextlineError):
    """A canned query of that name does not exist."""

    slug = "unknown-query"


class BrokenQuery(NextlineError):
    """A file of the canned queries, or the folder of all of them, cannot be used."""

    slug = "broken-query"


class InvalidParameter(NextlineError):
    """A parameter of a canned query is missing, unknown or of the wrong type."""

    slug = "invalid-parameter"


class InvalidQuery(NextlineError):
    """A SPARQL query does not parse, or asks for something that this endpoint refuses."""

    slug = "invalid-query"


class QueryFailure(NextlineError):
    """A valid SPARQL query could not be evaluated within the limits of the endpoint."""

    slug = "query-failure"


class QueryTooLarge(NextlineError):
    """A SPARQL query asks for more rows, bytes or memory than the endpoint gives; asking again changes nothing."""

    slug = "query-too-large"


class StoreFailure(NextlineError):
    """An external SPARQL server did not do what it was asked."""

    slug = "store-failure"


class StoreUnreachable(StoreFailure):
    """The external server cannot be reached, or did not answer in time."""

    slug = "store-unreachable"


class StoreRefused(StoreFailure):
    """The external server refuses a request, or answers with something else than SPARQL."""

    slug = "store-refused"


class StoreMismatch(StoreFailure):
    """The external server does not hold the build that it should."""

    slug = "store-mismatch"
