"""Times the epochs of a training."""

import time

import keras


class EpochTimer(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """`seconds` has the duration of each epoch's training steps, without validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began: float | None = None

    def on_epoch_begin(self, *_: object) -> None:
        self._began = time.perf_counter()

    def on_test_begin(self, *_: object) -> None:
        self._stop()  # validation begins

    def on_epoch_end(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._began is not None:
            self.seconds.append(time.perf_counter() - self._began)
            self._began = None

    def images_per_second(self, images: int) -> float:
        """The rate of the fastest epoch, because other load on the machine only slows it down."""
        return images / min(self.seconds)
