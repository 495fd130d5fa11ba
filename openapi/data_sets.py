"""The routes of data sets, on which models are taught and trained."""

from typing import Any

from pydantic import Field

from facet.keys import IMAGE_TYPES
from openapi.models import ResponseModel
from openapi.operations import JSON, Operation, files
from teach.requests import DeletedImages, NewImages, Renamed


class ImageForm(ResponseModel):
    """Where to send an image: as the last field, `file`, of a form with these `fields`."""

    name: str
    url: str | None = Field(
        description="The URL to send the form to, with POST; null if the image is stored already."
    )
    fields: dict[str, str] = Field(description="The form's fields; send all of them.")


class ImageForms(ResponseModel):
    """A form for each image that is not stored yet."""

    uploads: list[ImageForm] = Field(description="One for each image, in the order sent.")


class LabelCount(ResponseModel):
    """A label and the number of its images on this page."""

    label: str
    images: int


class DataSet(ResponseModel):
    """A page of a data set: the labels of up to 10,000 images, and how many of them each has.

    A label may go on in the next page. Its number is the sum of both.
    """

    dataset: str
    images: int = Field(description="The number of images on this page.")
    labels: list[LabelCount]
    next: str | None = Field(
        description="The value of `after` for the next page, or null on the last page."
    )


class ListedImage(ResponseModel):
    """An image of a data set."""

    name: str
    size: int = Field(description="Its size in bytes.")


class ImageList(ResponseModel):
    """A page of a label's images, ordered by name."""

    images: list[ListedImage]
    next: str | None = Field(
        description="The value of `after` for the next page, or null on the last page."
    )


class ImagesDeleted(ResponseModel):
    """What was deleted."""

    dataset: str
    deleted: int = Field(description="The number of images.")


class ImagesMoved(ResponseModel):
    """What was renamed."""

    dataset: str
    moved: int = Field(description="The number of images that have the new label.")


_COMMON: dict[str, Any] = {"tag": "teaching", "problems": ("bad-request", "internal-error")}
_CHANGE = _COMMON | {"problems": ("bad-request", "body-too-large", "internal-error")}

DATA_SET_OPERATIONS = (
    Operation(
        "POST",
        "/datasets/{name}/images",
        "addImages",
        summary="Add images",
        description="Adds up to 100 images to a label. The data set and the label come into being "
        "with their first image, and an image of the same name is replaced.\n\n"
        "An image with `content` (the file in base64) is stored at once. For any other the answer "
        "has a presigned form: send its `fields` to its `url`, with the file as the last field, "
        "`file`.",
        success="Returns a form for each image that is not stored yet.",
        response={JSON: ImageForms},
        status=201,
        parameters=("dataset",),
        request={JSON: NewImages},
        **_CHANGE,
    ),
    Operation(
        "GET",
        "/datasets/{name}",
        "showDataSet",
        summary="Retrieve a data set",
        description="Returns the labels of a data set, and how many images each has. A data set "
        "without images has no labels. One of more than 10,000 images has several pages: add up "
        "the numbers of a label.",
        success="Returns a page of the data set.",
        response={JSON: DataSet},
        parameters=("dataset", "after_image"),
        **_COMMON,
    ),
    Operation(
        "GET",
        "/datasets/{name}/images",
        "listImages",
        summary="List images",
        description="Returns the images of a label, ordered by name, up to 1,000 a page.",
        success="Returns a page of images.",
        response={JSON: ImageList},
        parameters=("dataset", "label", "after_image"),
        **_COMMON,
    ),
    Operation(
        "GET",
        "/datasets/{name}/image",
        "showImage",
        summary="Retrieve an image",
        description="Returns an image of a data set. Images over 4 MB are not shown.",
        success="Returns the image.",
        response=files(*IMAGE_TYPES),
        parameters=("dataset", "label", "image_name"),
        **_COMMON | {"problems": (*_CHANGE["problems"], "unknown-image")},
    ),
    Operation(
        "DELETE",
        "/datasets/{name}/images",
        "deleteImages",
        summary="Delete images",
        description="Deletes images of a label by name, or without `names` the label. S3 keeps "
        "them for 30 days as earlier versions of the objects.",
        success="Returns how many images were deleted.",
        response={JSON: ImagesDeleted},
        parameters=("dataset",),
        request={JSON: DeletedImages},
        **_CHANGE,
    ),
    Operation(
        "PATCH",
        "/datasets/{name}",
        "renameLabel",
        summary="Rename a label",
        description="Gives all images of a label another one. If that has images already, the two "
        "become one, unless different images have the same name: then nothing is renamed. Repeat "
        "the request if it is interrupted.",
        success="Returns how many images were renamed.",
        response={JSON: ImagesMoved},
        parameters=("dataset",),
        request={JSON: Renamed},
        **_CHANGE | {"problems": (*_CHANGE["problems"], "unknown-image")},
    ),
)
