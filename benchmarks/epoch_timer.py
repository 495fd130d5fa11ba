"""How long the epochs of a training take."""

import time

import keras


class EpochTimer(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """`seconds` has one value per epoch, for its training steps alone, without the validation."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began: float | None = None

    def on_epoch_begin(self, *_: object) -> None:
        self._began = time.perf_counter()

    def on_test_begin(self, *_: object) -> None:
        """The validation begins, where there is one."""
        self._stop()

    def on_epoch_end(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._began is not None:
            self.seconds.append(time.perf_counter() - self._began)
            self._began = None

    def images_per_second(self, images: int) -> float:
        """Of `images` in an epoch, by the fastest: whatever else the machine does only slows."""
        return images / min(self.seconds)
