import keras
import numpy as np

from mien.training.loop.ema import WeightEMA


def test_the_average_follows_with_its_decay_and_ramps_up() -> None:
    variable = keras.Variable(np.zeros(2, np.float32))
    ema = WeightEMA([variable], 0.5)
    expected = np.zeros(2)
    for step in range(1, 30):
        variable.assign(np.full(2, step, np.float32))
        ema.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(ema.values[0], expected, rtol=1e-5)


def test_swapping_twice_changes_nothing_and_once_puts_the_average_in() -> None:
    variable, count = keras.Variable(np.ones(3, np.float32)), keras.Variable(np.array(5), dtype="int32")
    ema = WeightEMA([variable, count], 0.9)
    variable.assign(np.full(3, 3.0, np.float32))
    ema.update()
    kept = ema.values[0].copy()
    assert 1 < kept[0] < 3
    ema.swap()
    np.testing.assert_array_equal(np.asarray(variable), kept)
    assert int(count) == 5
    ema.swap()
    np.testing.assert_array_equal(np.asarray(variable), np.full(3, 3.0))
    np.testing.assert_array_equal(ema.values[0], kept)


def test_without_a_decay_it_is_the_networks_own_weights() -> None:
    variable = keras.Variable(np.zeros(2, np.float32))
    ema = WeightEMA([variable], 0.0)
    variable.assign(np.ones(2, np.float32))
    ema.update()
    ema.swap()
    np.testing.assert_array_equal(ema.values[0], np.ones(2))
    np.testing.assert_array_equal(np.asarray(variable), np.ones(2))
