"""Predictions by every form of a body, which API Gateway and Lambda must pass on unchanged."""

import base64
import json
import struct

import numpy as np
from urllib3.filepost import encode_multipart_formdata

from cli.verify.check import Different, check
from cli.verify.session import Reply, Session

JSON, PNG = "application/json", "image/png"
LENGTH = "Inference-Header-Content-Length"


@check("golden-proof", "An uploaded sample is READY once it gave its golden answer where it runs.")
def golden_proof(session: Session) -> str:
    version = session.first()
    if version.proof != "golden":
        raise Different(f"READY with the proof {version.proof}")
    return f"{version.id} is READY, proof {version.proof}"


@check("predict-raw", "An image as the body, with its content type, is classified.")
def raw(session: Session) -> str:
    session.ready()
    return _classified(session, session.predict(session.sample.image, PNG))


@check("predict-json", "Images as base64 in JSON are classified as one batch.")
def json_body(session: Session) -> str:
    session.ready()
    body = json.dumps({"images": [_base64(session)] * 2}).encode()
    results = session.predict(body, JSON).document()["results"]
    return _agrees(session, *(each["predictions"][0] for each in results))


@check("predict-form", "The file of a multipart form is classified.")
def form(session: Session) -> str:
    session.ready()
    file = ("image.png", session.sample.image, PNG)
    return _classified(session, session.predict(*encode_multipart_formdata({"file": file})))


@check("predict-upload", "An image uploaded by a presigned form is classified by its key.")
def upload(session: Session) -> str:
    session.ready()
    key = session.api.upload(session.sample.image)
    session.keys.append(key)
    return _classified(session, session.predict(json.dumps({"s3": key}).encode(), JSON))


@check("infer-json", "The inference protocol's JSON is answered.")
def infer_json(session: Session) -> str:
    session.ready()
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [_base64(session)]}
    body = json.dumps({"inputs": [image], "outputs": [{"name": "scores"}]}).encode()
    reply = session.predict(body, JSON, path=f"/v2/models/{session.model}/infer")
    (scores,) = reply.document()["outputs"]
    return _best(session, np.asarray(scores["data"], np.float32))


@check("infer-binary", "The inference protocol's binary tensors pass unchanged, in and out.")
def infer_binary(session: Session) -> str:
    session.ready()
    data = struct.pack("<I", len(session.sample.image)) + session.sample.image
    size = {"binary_data_size": len(data)}
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": size}
    scores = {"name": "scores", "parameters": {"binary_data": True}}
    header = json.dumps({"inputs": [image], "outputs": [scores]}).encode()
    reply = session.predict(
        header + data,
        "application/octet-stream",
        path=f"/v2/models/{session.model}/infer",
        **{LENGTH: str(len(header))},
    )
    if reply.status != 200 or LENGTH not in reply.headers:
        raise Different(f"{reply}, without the header {LENGTH}")
    return _best(session, np.frombuffer(reply.body[int(reply.headers[LENGTH]) :], np.float32))


def _base64(session: Session) -> str:
    return base64.b64encode(session.sample.image).decode()


def _classified(session: Session, reply: Reply) -> str:
    return _agrees(session, reply.document()["predictions"][0])


def _best(session: Session, scores: np.ndarray) -> str:
    labels = session.sample.manifest.labels
    if scores.shape != (len(labels),):
        raise Different(f"{scores.size} scores for {len(labels)} labels")
    best = int(scores.argmax())
    return _agrees(session, {"label": labels[best], "score": float(scores[best])})


def _agrees(session: Session, *answers: dict[str, float | str]) -> str:
    """Compare answers with the golden sample's. Raises Different."""
    golden = session.sample.golden
    for each in answers:
        away = abs(float(each["score"]) - golden.score)
        if each["label"] != golden.label or away > golden.tolerance:
            raise Different(f"{each}; the golden sample is {golden.label} {golden.score}")
    return ", ".join(f"{each['label']} {float(each['score']):.4f}" for each in answers)


CHECKS = (golden_proof, raw, json_body, form, upload, infer_json, infer_binary)
