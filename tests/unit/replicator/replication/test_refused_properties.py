"""What the target refused of a volume's properties."""

from __future__ import annotations

from replicator.replication.refused_properties import described_refusals, refused_properties
from tests.support.volumes import dataset, pair

STDERR = """\
cannot receive compression property on pool/vm-100-disk-0: pool and or dataset must be upgraded to set this property
cannot receive refreservation property on pool/vm-100-disk-0: out of space
"""


def test_each_refused_property_is_found_with_its_reason() -> None:
    assert refused_properties(STDERR) == {
        "compression": "pool and or dataset must be upgraded to set this property",
        "refreservation": "out of space",
    }
    assert refused_properties("receiving incremental stream of a@b into c@b\n") == {}


def test_a_warning_names_them() -> None:
    [said] = described_refusals(pair(dataset(), None), STDERR, "beta")
    assert "'pool/vm-100-disk-0' on beta" in said
    assert "compression (pool and or" in said
    assert "refreservation (out of space)" in said


def test_a_thick_zvol_that_becomes_thin_is_said_by_itself() -> None:
    thin, other = described_refusals(pair(dataset(is_volume=True), None), STDERR, "beta")
    assert "reserves no space" in thin
    assert "refreservation" not in other


def test_nothing_is_said_of_what_was_taken() -> None:
    assert list(described_refusals(pair(dataset(), None), "", "beta")) == []
