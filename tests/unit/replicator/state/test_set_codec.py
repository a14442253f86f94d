"""Known sets as text: what an older zsr wrote is still read."""

from __future__ import annotations

import json

from replicator.models import KnownSets
from replicator.state.set_codec import sets_from_text, sets_to_text


def test_what_waits_for_the_grace_survives_a_restart() -> None:
    known = KnownSets(gone=((2**64 - 1, 1795427104.5, 86400.0),))

    assert sets_from_text(sets_to_text(known), None).gone == known.gone


def test_a_row_of_an_older_zsr_knows_of_nothing_that_is_gone() -> None:
    values = json.loads(sets_to_text(KnownSets(proven=1)))
    del values["gone"]

    assert sets_from_text(json.dumps(values), None).gone == ()
