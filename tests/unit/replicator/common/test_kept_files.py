"""A file of a guest is kept with its mode and owner, under a name that says of which set it is."""

from __future__ import annotations

import pytest

from replicator.common.kept_files import Kept, KeptFile, name_of, parse_listing
from tests.support.guest_files import UNIT, XML, kept, kept_file, version


@pytest.mark.parametrize(
    "content", [b"", b"one\ntwo\n", b"\n\n", b"\0\xff\n{}"], ids=["empty", "text", "lines", "bytes"]
)
def test_what_is_kept_gives_back_the_file(content: bytes) -> None:
    file = KeptFile(XML, 0o640, "libvirt-qemu", "kvm", 64055, 109, content)
    assert KeptFile.decoded(file.encoded()) == file


def test_another_mode_or_owner_is_another_version() -> None:
    assert kept_file(mode=0o600).digest != kept_file(mode=0o644).digest
    assert kept_file().digest == kept_file().digest


@pytest.mark.parametrize(
    "data",
    [b"", b"<domain/>", b"[]\n", b"{}\n", kept_file().encoded()[:-1], kept_file().encoded().replace(b"420", b'"a"')],
    ids=["nothing", "no line", "a list", "no facts", "cut off", "a wrong fact"],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        KeptFile.decoded(data)


def test_a_listing_is_read_by_path_oldest_first_with_what_a_kill_left() -> None:
    old, new, unit = version(1000), version(2000, 2500), version(1000)
    names = [name_of(XML, new), name_of(UNIT, unit), name_of(XML, old), "%2Fa/.new.1-2-3", "%2Fa/notes", "by-hand"]

    assert parse_listing("".join(f"./{each}\n" for each in names)) == Kept(
        {XML: (old, new), UNIT: (unit,)}, ("%2Fa/.new.1-2-3",)
    )


def test_a_set_has_the_newest_version_up_to_it() -> None:
    early, idle, late = version(1000), version(1000, 1500), version(3000)
    found = kept(early, idle, late)

    assert [found.of_set(XML, at) for at in (999, 1000, 2000, 3000, 9000)] == [None, idle, idle, late, late]
    assert found.of_set(UNIT, 9000) is None


def test_versions_come_and_go_by_name() -> None:
    old, new = version(1000), version(2000)
    assert kept(old).with_version(XML, new) == kept(old, new)
    assert kept(old, new, drafts=("x/.new.1",)).without([name_of(XML, old), "x/.new.1"]) == kept(new)
    assert kept(old).without([name_of(XML, old)]) == Kept()
