"""Names of classes that no module holds."""

from __future__ import annotations

from forwardtrader.core.user_code.declared import declared, spec_of
from tests.models.own_forecasters import RIDGE, Ridge


def test_a_class_of_a_module_is_named_by_it() -> None:
    assert spec_of(Ridge) == "tests.models.own_forecasters:Ridge"


def test_objects_and_inner_classes_have_a_name_of_this_process_and_keep_it() -> None:
    class Inner:
        pass

    first = spec_of(Inner)
    assert first.startswith("declared:Inner") and spec_of(Inner) == first
    assert declared(first.partition(":")[2]) is Inner
    other = type("Inner", (), {})
    assert spec_of(other) != first
    assert declared(spec_of(RIDGE).partition(":")[2]) is RIDGE
    assert declared("Nobody") is None
