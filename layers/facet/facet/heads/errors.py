"""The errors of backbones, of the heads that are taught on them, and of teaching."""

from collections.abc import Sequence

from facet.errors import FacetError, VersionInUse


class NotAClassifier(FacetError):
    """The model is a backbone: it has features for an image, and no labels."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' is a backbone: it computes features of images, and has no labels to "
            "predict. Ask a classifier; GET /models, or `facet models`, shows each model's kind."
        )


class NotExplainable(FacetError):
    """The answers of a model have no maps from which a heat map could be drawn.

    `backbone` is what a head was taught on; without one the model is a classifier.
    """

    def __init__(self, model: str, backbone: str = "", version: str = "") -> None:
        if backbone:
            cause = f"version {version} of its backbone '{backbone}' has no maps"
            remedy = (
                "export that backbone with maps (`facet pack --backbone`), upload it, and teach "
                f"'{model}' again"
            )
        else:
            cause = "it is a classifier"
            remedy = "ask a model that was taught on a backbone with maps"
        super().__init__(
            f"Model '{model}' cannot explain its answers: {cause}. "
            f"Ask without explain, or {remedy}."
        )


class ExplanationFailed(FacetError):
    """A head answered, but its backbone failed on the maps. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The model answered, but its explanation failed. Ask without explain. The reason is in "
            "the log, for the owner of its backbone."
        )
        self.reason = reason


class NotABackbone(FacetError):
    """The model has labels, and no features for a head to be taught on."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' is no backbone, so nothing can be taught on it. "
            "GET /models, or `facet models`, shows each model's kind."
        )


class OtherKind(FacetError):
    """The name belongs to a model that was not taught."""

    def __init__(self, model: str, kind: str) -> None:
        super().__init__(
            f"Model '{model}' is a {kind}, and its versions keep that kind. Teach under another "
            f"name, or delete it first (`facet delete {model}`)."
        )


class UnknownTeaching(FacetError):
    """The model was never taught."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' was never taught. POST /models/{model}/teach, or `facet teach "
            f"{model} DIR`, teaches it."
        )


class TeachingRunning(FacetError):
    """A teaching of the model is under way, and there is one at a time."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' is being taught. GET /models/{model}/teach shows how far it is; try "
            "again when it has ended."
        )


class BackboneMissing(FacetError):
    """The version of a backbone on which a head was taught is not READY any more."""

    def __init__(self, model: str, backbone: str, version: str) -> None:
        super().__init__(
            f"Model '{model}' was taught on version {version} of the backbone '{backbone}', which "
            f"is not READY. Upload that backbone again, or teach '{model}' on another one."
        )


class HeadUnavailable(FacetError):
    """The weights of a head's version cannot be read; `missing` says that they are not stored, and
    `changed` that what is stored is something else.
    """

    def __init__(
        self, model: str, version: str, *, missing: bool = False, changed: bool = False
    ) -> None:
        if missing or changed:
            what = "not stored" if missing else "not those that were validated"
            cause = f"{what}. The sweeper has the right ones stored again within 15 minutes"
        else:
            cause = "out of reach at the moment. Try again shortly"
        super().__init__(f"The weights of version {version} of '{model}' are {cause}.")
        self.missing = missing


class BackboneInUse(VersionInUse):
    """Heads depend on a version of a backbone, or on some version of it.

    `heads` is how many READY versions of heads do, `first` the model and version of some.
    """

    def __init__(self, model: str, version: str | None, heads: int, first: Sequence[str]) -> None:
        number = (
            "1 version of a head depends" if heads == 1 else f"{heads:,} versions of heads depend"
        )
        on = f"version {version} of '{model}'" if version else f"'{model}'"
        more = f", and {heads - len(first):,} more" if heads > len(first) else ""
        FacetError.__init__(
            self,
            f"{number} on {on}: {', '.join(first)}{more}. First delete those models (`facet "
            "delete`), or retire those versions (`facet retire MODEL VERSION`).",
        )
        self.heads = heads
