"""``python3 -m tests.lab.fuzz.driver``, in a node: plays the cases that standard input names, a JSON object a line.

``{"seed": 1, "steps": 20}`` draws one; ``{"configuration": "...", "steps": [...]}`` plays that one. Each is answered
with a line: the moves that it made, and which laws were broken. With ``--model`` they are played in memory, anywhere.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import asdict
from functools import partial
from typing import Any

from tests.lab.fuzz import zsr
from tests.lab.fuzz.case import play, play_drawn
from tests.lab.fuzz.configuration import SETTINGS, Configuration, draw
from tests.lab.fuzz.machine import make_pools
from tests.lab.fuzz.played_on import LabMachine, Machine
from tests.lab.fuzz.steps import Step


def answer(machine: Machine, request: dict[str, Any]) -> dict[str, Any]:
    """Play a case."""
    began = time.monotonic()
    if "seed" in request:
        known = [setting for setting in SETTINGS if zsr.is_known(setting)]
        configuration, played = play_drawn(machine, partial(draw, settings=known), request["seed"], request["steps"])
    else:
        configuration = Configuration.from_json(request["configuration"])
        played = play(machine, configuration, [Step(**each) for each in request["steps"]])
    return {
        "configuration": configuration.to_json(),
        "steps": [asdict(step) for step in played.steps],
        "words": played.words,
        "violations": [asdict(violation) for violation in played.violations],
        "seconds": time.monotonic() - began,
    }


def _machine(arguments: list[str]) -> Machine:
    if arguments == ["--model"]:
        from tests.lab.fuzz.model_machine import ModelMachine

        return ModelMachine()
    make_pools()
    return LabMachine()


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    machine = _machine(sys.argv[1:])
    zsr.warm_up()
    for line in sys.stdin:
        try:
            reply = answer(machine, json.loads(line))
        except Exception:  # noqa: BLE001 - whatever breaks here is the fuzz's own fault, and is shown as that
            reply = {"broken": traceback.format_exc()}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
