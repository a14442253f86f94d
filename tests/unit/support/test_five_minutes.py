"""What is read from docs/five-minutes.md, to be typed on two machines."""

from __future__ import annotations

from tests.support.five_minutes import PAGE, commands, session


def test_each_answer_of_the_page_is_one() -> None:
    answers = [each.answer for each in session() if each.answer]

    assert answers[:2] == ["beta", "10.0.0.12"]
    assert answers[-1] == "http://10.0.0.20:9090"
    assert answers.count("y") == 5


def test_enter_alone_is_an_answer() -> None:
    asked = [each.question for each in session() if not each.answer]

    assert asked[0] == "Its name [alpha]:"
    assert "Next [try again]:" in asked


def test_the_commands_stand_below_their_headings() -> None:
    headings = [
        line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line[:3] == "## " and line[3].isdigit()
    ]

    assert [len(commands(each)) for each in headings] == [2, 1, 3, 2, 1]
