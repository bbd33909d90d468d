import threading

import pytest

from models import devices


@pytest.mark.parametrize(
    ("flags", "width", "expected"),
    [
        ("avx512f avx512_bf16", 256, "mixed_bfloat16"),
        ("avx512f avx512_bf16", 128, "float32"),
        ("amx_bf16", 512, "mixed_bfloat16"),
        ("avx2", 512, "float32"),
    ],
)
def test_precision_goes_by_width_and_hardware_alone(monkeypatch, flags, width, expected):
    monkeypatch.setattr(devices.Path, "read_text", lambda self: f"flags : {flags}")
    monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda kind: [])
    assert devices.dtype_policy("auto", width) == expected


def test_a_precision_that_is_asked_for_is_used():
    assert devices.dtype_policy("float32", 4096) == "float32"
    assert devices.dtype_policy("bfloat16", 16) == "mixed_bfloat16"


def test_what_is_computed_side_by_side_comes_back_in_order_and_at_once(monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    together = threading.Barrier(2, timeout=10)

    def square(n):
        together.wait()  # passes only if two are under way
        return n * n

    assert list(devices.side_by_side(square, range(6))) == [0, 1, 4, 9, 16, 25]


def test_an_error_of_one_lane_is_raised(monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        list(devices.side_by_side(lambda n: 1 // n, [1, 0, 2]))


def test_only_a_few_results_are_held(monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    begun = []
    found = devices.side_by_side(begun.append, range(1000))
    next(found)
    assert len(begun) <= 4
    found.close()
