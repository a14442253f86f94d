"""The key of a raw replica exists only on its source, which is dead."""

from tests.support.states import State

STATE = State(
    key="monitoring 77",
    title="the key of a raw replica is nowhere but on the dead source",
    produced="a raw job whose passphrase or key file is kept on the source only",
    outside=(
        "Keep each key apart from both nodes, and prove it with a test restore on the target: zfs load-key -n -L "
        "prompt REPLICA, once after each change of a key. zsr has no key and can try none."
    ),
)
