"""Why a model cannot be packed."""

from facet.errors import FacetError


class CannotPack(FacetError):
    """The source, or what was said about it, makes no artifact; the message says what to do."""
