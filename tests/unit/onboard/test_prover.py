import pytest

from onboard.proof.prover import without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "NOT_FOUND: /opt/ml/models/0a1b/model/1/variables/variables.index; no such file",
            "NOT_FOUND: 1/variables/variables.index; no such file",
        ),
        (
            "cannot open '/srv/facet/container/2/f/00000123/assets.extra/model.tflite'.",
            "cannot open '00000123/assets.extra/model.tflite'.",
        ),
        (
            "SavedModel file does not exist at: /home/ann/.facet/models/cats/1",
            "SavedModel file does not exist at: 1",
        ),
        ('File "/usr/lib/python3/dist-packages/keras/ops.py", line 3', 'File "ops.py", line 3'),
        (
            "{{node model/conv1/Conv2D}} on /job:localhost/replica:0/task:0/device:CPU:0",
            "{{node model/conv1/Conv2D}} on /job:localhost/replica:0/task:0/device:CPU:0",
        ),
        (
            "read https://www.tensorflow.org/guide/saved_model and and/or 1/2",
            "read https://www.tensorflow.org/guide/saved_model and and/or 1/2",
        ),
    ],
)
def test_texts_of_the_server_name_files_as_the_uploader_knows_them(text: str, shown: str) -> None:
    assert without_folders(text) == shown
