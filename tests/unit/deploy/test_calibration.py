"""Claims that hold are calibrated; the error is how far given and true are apart, by the size of each bin."""

from __future__ import annotations

import pytest

from deploy.stand_ins.calibration import Bin, Claim, bins, calibration_error

pytestmark = pytest.mark.unit


def test_claims_are_held_by_tenths_of_what_was_given() -> None:
    claims = [Claim(0.05, 0.0), Claim(0.95, 0.8), Claim(1.0, 1.0), Claim(0.93, 0.6), Claim(0.1, 0.3)]
    low, second, top = bins(claims)
    assert (low, second) == (Bin(1, 0.05, 0.0), Bin(1, 0.1, 0.3))
    assert (top.count, top.given, top.true) == (3, pytest.approx(0.96), pytest.approx(0.8))


def test_the_error_weighs_each_bin_by_its_claims() -> None:
    claims = [Claim(0.9, 0.7)] * 3 + [Claim(0.2, 0.2)]
    assert calibration_error(claims) == pytest.approx(3 / 4 * 0.2)


def test_errors_within_a_bin_may_cancel_and_between_bins_never() -> None:
    assert calibration_error([Claim(0.52, 0.62), Claim(0.58, 0.48)]) == pytest.approx(0.0)
    assert calibration_error([Claim(0.52, 0.62), Claim(0.68, 0.58)]) == pytest.approx(0.1)


def test_without_claims_there_is_no_error_to_tell() -> None:
    with pytest.raises(ValueError, match="claims"):
        calibration_error([])
