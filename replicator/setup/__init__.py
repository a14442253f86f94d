"""``zsr setup``: from what a person answers to the files of this node; answers, defaults and texts are pure."""
