"""Keys of encrypted volumes and replicas: raw or readable, which key, and the errors that refuse a transfer. Pure.

A raw replica has the source's key, in the source's wrapping, and is its own encryption root. Each raw stream brings the
wrapping that the source has then. Any other encrypted replica has a key of the target, mostly that of its storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from replicator.errors import EncryptionError
from replicator.job_choices import Encryption
from replicator.models import Job
from replicator.replication.plan import CloneFromDiverged, Full, Incremental, VolumePair
from replicator.zfs.model import Dataset


def refuse_locked_dataset(dataset: Dataset, node: str) -> None:
    """Raise EncryptionError if the key of a dataset on a node is not loaded."""
    if dataset.key_loaded is False:
        raise EncryptionError(
            f"The key of '{dataset.name}' on node {node} is not loaded, so it cannot be read.",
            node=node,
            advice=f"Load it there: zfs load-key {quote(dataset.encryption_root or dataset.name)}.",
        )


def is_raw(job: Job, action: Full | Incremental) -> bool:
    """Return whether an action sends raw; raises EncryptionError where the job wants raw and the replica is not."""
    return is_raw_onto(job, action.pair, _received_onto(action))


def _received_onto(action: Full | Incremental) -> Dataset | None:
    """Return the dataset whose key the received data get: the replica, or the aside of which it will be a clone."""
    if isinstance(action, Full):
        return None
    asides = [step.aside for step in action.preparations if isinstance(step, CloneFromDiverged)]
    return asides[0] if asides else action.pair.target


def check_keys(job: Job, action: Full | Incremental) -> bool:
    """Return whether an action sends raw.

    Raises:
        EncryptionError: the keys on either side do not allow the transfer; nothing was changed.
    """
    raw = is_raw(job, action)
    if isinstance(action, Full) and not raw:
        _refuse_plain_below_raw(job, action.pair)
    refuse_locked(job, action, raw=raw)
    return raw


def _refuse_plain_below_raw(job: Job, pair: VolumePair) -> None:
    """Raise EncryptionError if a raw replica would lie between an encrypted storage and a plain replica.

    Such a replica could not have the storage's key, and would be the only one there that anybody can read.
    """
    is_raw_above = pair.above is not None and pair.above.encrypted and job.encryption is Encryption.RAW
    if pair.above is None or not is_raw_above or not is_below_encrypted(pair):
        return
    raise EncryptionError(
        f"Volume {pair.volume} is not encrypted, and its replica on node {job.target} would lie below the raw one of "
        f"'{pair.above.name}': it could not have the key of the encrypted storage {pair.volume.storage}.",
        node=job.target,
        volume=str(pair.volume),
        advice=f'Leave it out: {{ volume = "{pair.volume}", replicate = false }} in the volumes of guest '
        f"{job.id.guest}. Or let the target read the others: zsr update {job.id} --encryption decrypted.",
    )


def is_raw_onto(job: Job, pair: VolumePair, target: Dataset | None) -> bool:
    """Return whether a volume is sent raw: an encrypted one always is when the job says so.

    It is as well where its replica lies below a raw one, whose key the target does not have. No property of the
    target's replica ever makes a raw job send in the clear.

    Raises:
        EncryptionError: the job says raw, and the replica is not.
    """
    if not pair.source.encrypted:
        return False
    if target is None or not target.snapshots:
        return job.encryption is Encryption.RAW or pair.is_below_raw
    raw = target.has_own_key
    if job.encryption is Encryption.RAW and not raw:
        raise _not_raw(job, pair, target)
    return raw


def _not_raw(job: Job, pair: VolumePair, target: Dataset) -> EncryptionError:
    """Return the error of a raw job whose replica is readable, or no longer has the source's key.

    ZFS would accept the stream where an admin gave the replica the key of the dataset above it. Nobody could open the
    replica then: the source's wrapping does not fit that key.
    """
    again = f"zsr reseed {job.id} {pair.volume}"
    if target.encryption_root is None:
        why, advice = "is not encrypted", f"Send it again in full, raw: {again}."
    else:
        why = f"has the key of '{target.encryption_root}' (zfs change-key -i there, or it was begun decrypted)"
        advice = (
            f"Send it again in full, raw: {again}. If only its key was changed there, this is enough: zfs change-key "
            f"-o keyformat=passphrase -o keylocation=prompt {target.name}; the next run brings the source's key."
        )
    return EncryptionError(
        f"Volume {pair.volume} is encrypted and the job sends it raw, but its replica '{target.name}' on node "
        f"{job.target} is not raw: it {why}.",
        node=job.target,
        volume=str(pair.volume),
        advice=f"{advice} Or, if that node may read it, send it in the clear: zsr update {job.id} --encryption "
        "decrypted.",
    )


def is_below_encrypted(pair: VolumePair) -> bool:
    """Return whether a volume's replica lies, or will lie, below an encrypted dataset of the target."""
    return pair.place is not None and pair.place.encrypted


def is_encrypted_there(action: Full | Incremental, *, raw: bool) -> bool:
    """Return whether the target encrypts what an action sends readable. Such a stream may have no embedded blocks."""
    replica = _received_onto(action)
    return not raw and (is_below_encrypted(action.pair) or (replica is not None and replica.encrypted))


def plain_below_encrypted(action: Full | Incremental, *, raw: bool) -> Dataset | None:
    """Return the replica that was begun unencrypted below an encrypted dataset, and goes on so; None otherwise."""
    replica = action.pair.target if isinstance(action, Incremental) else None
    if raw or replica is None or replica.encrypted or not is_below_encrypted(action.pair):
        return None
    return replica


def described_plain(job: Job, pair: VolumePair, replica: Dataset) -> str:
    """Return the sentence about a replica that `plain_below_encrypted` found."""
    above = "an encrypted dataset" if pair.place is None else f"'{pair.place.name}'"
    return (
        f"{pair.volume}: its replica '{replica.name}' on {job.target} is not encrypted, although {above} is; it was "
        f"begun so and goes on so. To encrypt it: zsr reseed {job.id} {pair.volume}"
    )


def refuse_locked(job: Job, action: Full | Incremental, *, raw: bool) -> None:
    """Raise EncryptionError if the target has to encrypt what an action sends, and the key there is not loaded."""
    pair = action.pair
    replica = _received_onto(action) or pair.place
    if raw or replica is None or not replica.encrypted or replica.key_loaded is not False:
        return
    root = replica.encryption_root or replica.name
    raise EncryptionError(
        f"The key of '{root}' on node {job.target} is not loaded. The replica of {pair.volume} (storage "
        f"{pair.volume.storage}) is encrypted with it.",
        node=job.target,
        volume=str(pair.volume),
        advice=f"Load it there: zfs load-key {root}. The next run goes on.",
    )


def has_new_key(pair: VolumePair, salt: int | None = None) -> bool:
    """Return whether a raw replica's key is wrapped otherwise than the source's: one of them was changed.

    ``salt`` is that of the source's key where its dataset does not say it. No byte is written by such a change. Keys
    that are no passphrases all have the salt 0, so that a change from one to another is not seen.
    """
    replica, ours = pair.target, pair.source.salt if salt is None else salt
    if replica is None or not pair.source.encrypted or not replica.has_own_key:
        return False
    return ours is not None and replica.salt is not None and ours != replica.salt


def with_unknown_salt(volumes: Sequence[VolumePair]) -> list[str]:
    """Return the encrypted datasets of the source whose salt was not listed, although that of their replica was."""
    return [
        pair.source.name
        for pair in volumes
        if pair.source.encrypted
        and pair.source.salt is None
        and pair.target is not None
        and pair.target.has_own_key
        and pair.target.salt is not None
    ]


def any_new_key(volumes: Sequence[VolumePair], salts: Mapping[str, int]) -> bool:
    """Return whether any volume `has_new_key`; ``salts`` are those that a listing of the source left out."""
    return any(has_new_key(pair, salts.get(pair.source.name)) for pair in volumes)
