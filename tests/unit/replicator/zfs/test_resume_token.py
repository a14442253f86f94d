"""Resume tokens: real ones are read, and nothing that could be read in two ways is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ZfsError
from replicator.zfs.resume_token import LONGEST_TOKEN, ResumeToken, decode_token, is_same_state
from tests.support.resume_tokens import Value, make_token, packed_list, packed_pair, token_of

FULL = (
    "1-eb46e146b-d0-789c636064000310a500c4ec50360710e72765a5269730307441d560c8a7a515a7968064d6b1c0e4d990e4932a4b528b81"
    "7403d31a566cfa4bf2d34b335318187a2da5b789c459fb3920c97382e5f3127353191852124b12758b4bf28b12d353f50d8ce2931293b34b0b"
    "1c924ae38d0c0c2d0d8c0c2c19e0000029161d79"
)
RAW_INCREMENTAL = (
    "1-fd3f3ea61-130-789c636064000310a501c49c50360710a715e5e7a69766a6304081e4c3753e7696b1cd0a40363b92bafca4acd4e412081f"
    "0430e4d3d28a534b18e00024cf86249f5459925acc802a8facbf241fe28aaa90ef315b8e16ea3920c97382e5f312735319188a528b4b735381"
    "6695e8a7e62517e9266764e6a43894679664e826eaa665e6a42299cfcd80f077727e6e01506f717e36444c02ea3e987c5162394c8a010013de"
    "2bc9"
)
INCREMENTAL = (
    "1-12ed982164-140-789c636064000310a501c49c50360710a715e5e7a69766a63040c19b77faba7b247f372800d9ec48eaf293b252934"
    "b207c10c0904f4b2b4e05ca331cc882cbb321c9275596a4160369019e5cacfa4bf221ae70744862af8835fc118024cf0996cf4bcc4d05d"
    "28979d9fa29892589fa65b9ba860606ba2999c5d9ba060ef1f145a9053999c98925a9f12061837843734b534b2313234b8bf878060609a"
    "83db07048cd4d4a4dc9cf06bb831b493c393fb7a028b5b8182805070044a93230"
)
"""Real tokens: two that users of OpenZFS 0.8 and 2.1 reported, and one of a run of zsr on OpenZFS 2.3."""

REQUIRED: dict[str, Value] = {"object": 1, "offset": 0, "bytes": 3, "toguid": 7, "toname": "tank/a@s"}
NAMES = st.text(st.characters(exclude_characters="\0@", exclude_categories=["Cs"]), min_size=1, max_size=40)
NUMBERS = st.integers(0, (1 << 64) - 1)


def packed(values: dict[str, Value]) -> list[bytes]:
    """The pairs of these values."""
    return [packed_pair(name, value) for name, value in values.items()]


def test_a_real_token_of_a_full_stream_is_read() -> None:
    assert decode_token(FULL) == ResumeToken(
        FULL,
        "data-storage/02_backup@bu_20190209",
        to_guid=0x4E3B5E14B61B398D,
        from_guid=None,
        object=394,
        offset=78512128,
        received=95158912,
        raw=False,
    )


def test_a_real_token_of_a_raw_incremental_stream_is_read() -> None:
    assert decode_token(RAW_INCREMENTAL) == ResumeToken(
        RAW_INCREMENTAL,
        "resumetest/encr-child@with-a-file",
        to_guid=3346673376557487226,
        from_guid=9465784931539935513,
        object=1,
        offset=0,
        received=0,
        raw=True,
    )


def test_a_real_token_of_a_readable_incremental_stream_is_read() -> None:
    assert decode_token(INCREMENTAL) == ResumeToken(
        INCREMENTAL,
        "tank/data/vm-100-disk-0@__replicate_100-0_1795924298__",
        to_guid=17884178365366288449,
        from_guid=9294050552011812588,
        object=1,
        offset=6995968,
        received=7146512,
        raw=False,
    )


@given(name=NAMES, snapshot=NAMES, numbers=st.tuples(*[NUMBERS] * 4), base=st.none() | NUMBERS, raw=st.booleans())
def test_what_was_packed_is_what_is_read(
    name: str, snapshot: str, numbers: tuple[int, int, int, int], base: int | None, raw: bool
) -> None:
    values: dict[str, Value] = {} if base is None else {"fromguid": base}
    values |= dict(zip(("object", "offset", "bytes", "toguid"), numbers, strict=True))
    values |= {"toname": f"{name}@{snapshot}", "redact_snaps": [1, 2, 3], "largeblockok": True}
    values |= {"rawok": True} if raw else {}
    for order in ("<", ">"):
        text = token_of(packed_list(*(packed_pair(*each, order) for each in values.items()), order=order), order=order)
        token = decode_token(text)
        assert (token.object, token.offset, token.received, token.to_guid) == numbers
        assert (token.to_name, token.from_guid, token.raw) == (f"{name}@{snapshot}", base, raw)


@given(st.text(max_size=300) | st.from_regex(r"1-[0-9a-f]{1,9}-[0-9a-f]{1,3}-([0-9a-f]{2}){0,80}", fullmatch=True))
def test_no_text_does_more_than_being_refused(text: str) -> None:
    with pytest.raises(ZfsError, match="cannot be read"):
        decode_token(text)


@given(at=st.integers(0, len(RAW_INCREMENTAL) - 1), sign=st.sampled_from("0123456789abcdef-"))
def test_a_token_with_one_wrong_sign_is_refused(at: int, sign: str) -> None:
    damaged = RAW_INCREMENTAL[:at] + sign + RAW_INCREMENTAL[at + 1 :]
    if damaged != RAW_INCREMENTAL:
        with pytest.raises(ZfsError):
            decode_token(damaged)


@given(length=st.integers(0, len(FULL) - 1))
def test_a_token_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ZfsError):
        decode_token(FULL[:length])


@given(data=st.data())
def test_a_damaged_list_under_a_right_checksum_is_refused_or_read_and_never_worse(data: st.DataObject) -> None:
    """Who forges a token can make its checksum right."""
    whole = bytearray(packed_list(*packed(REQUIRED)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_token(token_of(bytes(whole[: data.draw(st.integers(0, len(whole)))])))
    except ZfsError as error:
        assert "cannot be read" in error.what  # noqa: PT017 - it may also be readable


@pytest.mark.parametrize("missing", list(REQUIRED))
def test_a_token_without_one_of_its_values_is_refused(missing: str) -> None:
    with pytest.raises(ZfsError, match="cannot be read"):
        decode_token(token_of(packed_list(*packed({k: v for k, v in REQUIRED.items() if k != missing}))))


@pytest.mark.parametrize("flag", list(REQUIRED))
def test_a_flag_is_no_value(flag: str) -> None:
    with pytest.raises(ZfsError, match="cannot be read"):
        decode_token(token_of(packed_list(*packed(REQUIRED | {flag: True}))))


@pytest.mark.parametrize(
    "more",
    [
        packed_pair("toname", "tank/secret@s"),
        packed_pair("toguid", 8),
        packed_pair("toguid", "7"),
        packed_pair("fromguid", "7"),
        packed_pair("rawok", 0),
        packed_pair("rawok", "1"),
        packed_pair(b"\xff", True),
        packed_pair("bookmark", "a\0b"),
    ],
)
def test_a_value_that_comes_twice_or_has_another_type_is_refused(more: bytes) -> None:
    for pairs in ([*packed(REQUIRED), more], [more, *packed(REQUIRED)]):
        with pytest.raises(ZfsError, match="cannot be read"):
            decode_token(token_of(packed_list(*pairs)))


@pytest.mark.parametrize("name", ["tank/a", "@s", "tank/a@", "", "tank/a@s\0x"])
def test_a_name_that_is_no_snapshots_is_refused(name: str) -> None:
    with pytest.raises(ZfsError, match="cannot be read"):
        decode_token(token_of(packed_list(*packed(REQUIRED | {"toname": name}))))


def test_a_line_feed_in_a_name_pretends_nothing() -> None:
    name = "tank/a@s\n\ttoguid = 0x9\n\ttoname = tank/secret@s"
    token = decode_token(make_token(name, 7))
    assert (token.to_name, token.to_guid) == (name, 7)


@pytest.mark.parametrize(
    "text",
    [
        token_of(packed_list(*packed(REQUIRED)), checksum=1),
        token_of(packed_list(*packed(REQUIRED)), length=9),
        token_of(packed_list(*packed(REQUIRED)), length=1 << 30),
        token_of(packed_list(*packed(REQUIRED)) + b"more"),
        token_of(bytes([1, 1, 0, 0]) + packed_list(*packed(REQUIRED))[4:]),
        make_token().replace("1-", "2-", 1),
        make_token() + "00",
        make_token().upper(),
        f"1-0-10-{'00' * LONGEST_TOKEN}",
        "-",
        "",
    ],
)
def test_an_unknown_form_is_refused(text: str) -> None:
    with pytest.raises(ZfsError, match="cannot be read"):
        decode_token(text)


def test_bytes_after_the_list_are_refused_though_the_checksum_leaves_them_out() -> None:
    """Another reader might take them for something."""
    tokens = [make_token(f"tank/a@{'s' * length}") for length in range(1, 30)]
    whole_words = [token for token in tokens if len(token.rpartition("-")[2]) % 8 == 0]
    assert whole_words
    for token in whole_words:
        decode_token(token)
        with pytest.raises(ZfsError, match="its length is wrong"):
            decode_token(f"{token}00")


def test_a_token_that_would_unpack_to_much_more_than_it_says_is_refused() -> None:
    with pytest.raises(ZfsError, match="its length is wrong"):
        decode_token(token_of(bytes(50_000_000), length=100))


def test_a_state_that_has_grown_is_the_same_state() -> None:
    assert is_same_state(make_token(received=5), make_token(received=5000))
    assert is_same_state("1-not-a-token", "1-not-a-token")


@pytest.mark.parametrize(
    "other", [make_token(to_guid=8), make_token("tank/a@t"), make_token(from_guid=3), make_token(raw=True), "1-x"]
)
def test_a_state_of_another_transfer_is_not(other: str) -> None:
    assert not is_same_state(make_token(), other)
    assert not is_same_state(other, make_token())
