"""Prepare the backend of Keras, and call backend functions that Keras lacks. Only this module imports a backend."""

import gc
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np

from mien.arrays import Float32
from mien.errors import ConfigError, MissingExtraError
from mien.runtime.cores import available_cores, cpu_quota
from mien.runtime.memory import release_freed_memory, release_pages
from mien.runtime.providers import installed_runtimes
from mien.runtime.stderr import quiet_stderr
from mien.version import __version__

#: Free memory is taken in pieces of at least so many bytes, and of fewer than so many.
_LEAST_TAKEN, _MOST_TAKEN = 2**20, 2**31


def require_keras(what: str, deterministic: bool = False) -> None:
    """Import Keras with a quiet backend; MissingExtraError if it is not installed.

    `what` names the feature in the error. With `deterministic`, the backend uses only operations that give the same
    bits in every run; an environment variable, because the backend reads it at its start.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if deterministic:
        os.environ["TF_DETERMINISTIC_OPS"] = "1"
    try:
        with nullcontext() if "keras" in sys.modules else quiet_stderr(show_on_error=True):
            import keras

            _keep_to_quota(keras.backend.backend())
            keras.ops.zeros(1)  # TensorFlow logs about the processor at its first operation
    except ImportError as error:
        raise MissingExtraError(what, "train") from error
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
        if deterministic:
            tensorflow.config.experimental.enable_op_determinism()


def _keep_to_quota(backend: str) -> None:
    """Give TensorFlow no more threads than a container's CPU quota has cores: the others would wait in turns."""
    if backend != "tensorflow" or cpu_quota() is None:
        return
    import tensorflow

    with suppress(RuntimeError):  # it has begun, in a program that uses it without mien
        tensorflow.config.threading.set_intra_op_parallelism_threads(available_cores())


def release_memory() -> None:
    """Give back to the system what training no longer needs: half of all private memory after a run of `classic`.

    On a CPU with oneDNN, TensorFlow keeps the memory of freed tensors for later ones, and has no call that gives it
    back. So the free memory is taken in tensors without content, whose pages the system may have, and freed again.
    """
    import keras

    gc.collect()
    if keras.backend.backend() == "tensorflow":
        _release_kept_tensors()
    release_freed_memory()


def _release_kept_tensors() -> None:
    import tensorflow as tf

    with suppress(ValueError, tf.errors.OpError):  # its memory is that of the C library, or there is no more to take
        peak, taken = tf.config.experimental.get_memory_info("CPU:0")["peak"], []
        size = min(1 << int(peak).bit_length(), _MOST_TAKEN)
        with tf.device("CPU:0"):
            while (size := size // 2) >= _LEAST_TAKEN:
                released = size
                while released > size // 2:  # else it was fresh memory, because no free piece was as large
                    taken.append(tf.raw_ops.Empty(shape=[size], dtype=tf.uint8, init=False))
                    memory = np.asarray(taken[-1])
                    if memory.flags.owndata:  # a copy, in a version that does not share the tensor's own memory
                        return
                    released = release_pages(memory.ctypes.data, size)
        taken.clear()
        tf.config.experimental.reset_memory_stats("CPU:0")  # or the next call would take what this one took, and more


def versions() -> dict[str, str]:
    """Return the versions that a run records, by package."""
    import platform
    from importlib import metadata

    import keras

    found = {"mien": __version__, "python": platform.python_version(), "backend": keras.backend.backend()}
    for name in ("keras", "numpy", "pillow"):
        found[name] = metadata.version(name)
    return found | installed_runtimes()


def fused_batch_norm(x: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any] | None:
    """Normalise a batch over all axes but the channels, in one kernel.

    TensorFlow's kernel also takes bfloat16 and is three times as fast on a CPU as separate operations.

    Args:
        x: tensor (N, H, W, C).
        scale: tensor (C,).
        offset: tensor (C,).
        epsilon: added to the variance.

    Returns:
        Result (N, H, W, C), mean (C,) and variance (C,); None if the backend has no such kernel.
    """
    import keras

    if keras.backend.backend() != "tensorflow" or len(x.shape) != 4:
        return None
    import tensorflow as tf

    result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=tf.zeros(0), variance=tf.zeros(0), epsilon=epsilon, is_training=True
    )
    return result, mean, variance


def fused_adam(
    optimizer: Any, variable: Any, averages: tuple[Any, Any], gradient: Any, learning_rate: Any
) -> bool:  # fmt: skip
    """Update a variable and its averages as Keras's Adam does, in one kernel.

    Args:
        optimizer: a Keras Adam, of which the number of steps, the decays and epsilon are read.
        variable: of single precision, as Keras passes it to `update_step`.
        averages: the Keras variables of its momentum and velocity.
        gradient: tensor in the shape of the variable.
        learning_rate: scalar tensor.

    Returns:
        False, and nothing is changed, if the backend has no such kernel.
    """
    import keras

    if keras.backend.backend() != "tensorflow" or optimizer.amsgrad:
        return False
    import tensorflow as tf

    if not isinstance(gradient, tf.Tensor):  # rows of an embedding
        return False
    target, momentum, velocity = (
        one.value.handle if isinstance(one, keras.Variable) else one.handle for one in (variable, *averages)
    )
    steps = tf.cast(optimizer.iterations.value + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=target, m=momentum, v=velocity, beta1_power=tf.pow(optimizer.beta_1, steps),
        beta2_power=tf.pow(optimizer.beta_2, steps), lr=tf.cast(learning_rate, tf.float32), beta1=optimizer.beta_1,
        beta2=optimizer.beta_2, epsilon=optimizer.epsilon, grad=tf.cast(gradient, tf.float32),
    )  # fmt: skip
    return True


def grouped_convolution(x: Any, kernel: Any, strides: Any, padding: str, dilation: Any) -> Any:
    """Convolve channels in groups by the backend's plain operation, which converters know.

    On TensorFlow, Keras compiles grouped convolutions by XLA, and no converter opens that.

    Args:
        x: tensor (N, H, W, C).
        kernel: tensor (h, w, C / groups, filters).
        strides: of the rows and columns.
        padding: `valid` or `same`.
        dilation: of the rows and columns.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return keras.ops.conv(x, kernel, strides, padding, "channels_last", dilation)
    import tensorflow as tf

    return tf.nn.convolution(x, kernel, strides, padding.upper(), dilations=dilation)


def gradient(function: Callable[[Any], Any], x: Float32) -> Float32:
    """Return the gradient of the sum of `function(x)` with respect to `x`, in the shape of `x`.

    `function` maps a tensor to a tensor. Raises ConfigError for a backend other than TensorFlow and JAX.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensor = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            total = tf.reduce_sum(function(tensor))
        return np.asarray(tape.gradient(total, tensor))
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda tensor: function(tensor).sum())(jax.numpy.asarray(x)))
    raise ConfigError(f"gradients with Keras on {backend}: set KERAS_BACKEND to tensorflow or jax")
