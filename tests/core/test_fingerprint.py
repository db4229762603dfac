from __future__ import annotations

import pandas as pd

from forwardtrader.core import fingerprint


def test_absent_text_differs_from_empty_text() -> None:
    absent, empty = pd.DataFrame({"reason": ["a", None]}), pd.DataFrame({"reason": ["a", ""]})
    assert fingerprint.of_frame(absent) == fingerprint.of_frame(absent.copy())
    assert fingerprint.of_frame(absent) != fingerprint.of_frame(empty)


def test_text_hashes_alike_whatever_type_holds_it() -> None:
    plain = pd.DataFrame({"reason": ["a", "b"]})
    assert fingerprint.of_frame(plain) == fingerprint.of_frame(plain.astype(object))
