"""Write cases.json: a hundred requests and more, with the verdicts that every mine must give.

The expectation of each case is written by hand below, as the change it makes to an accepted
request; nothing here calls the code under test. Run it to rewrite the file after adding cases.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OWNER, OTHER, CAPSULE, CAPSULE_2 = ("0x" + digit * 40 for digit in "abcd")
TOKEN = "0x" + "e" * 40
ETHER = "0x" + "0" * 40
NOON = "2026-01-05T12:00:00Z"

PERMISSION: dict[str, Any] = {"mode": "automatic", "fields": ["*"]}
REQUEST: dict[str, Any] = {
    "campaign": 7,
    "data_scientist": OWNER,
    "capsule": CAPSULE,
    "token": ETHER,
    "bounty_wei": "1000",
    "bond_wei": "10",
    "fields": ["pixels", "label"],
}
USE: dict[str, Any] = {}

ACCEPTED = ("accept", [("automatic", "every criterion holds")])
APPROVED = ("accept", [("approved", "the owner approved it")])
ASKED = ("ask", [("ask", "the owner has to be asked")])
ASKED_OF_NETWORK = (
    "ask",
    [("ask", "it trains a network for a capsule that is not named: the owner has to be asked")],
)
DENIED = ("refuse", [("denied", "the dataset is permitted to no campaign")])
REFUSED = ("refuse", [("refused", "the owner refused it")])

CASES: list[dict[str, Any]] = []


def case(
    title: str,
    expect: tuple[str, list[tuple[str, str]]],
    permission: dict[str, Any] | None = None,
    request: dict[str, Any] | None = None,
    use: dict[str, Any] | None = None,
    now: str = NOON,
) -> None:
    verdict, causes = expect
    CASES.append(
        {
            "title": title,
            "permission": PERMISSION | (permission or {}),
            "request": REQUEST | (request or {}),
            "use": USE | (use or {}),
            "now": now,
            "expect": {
                "verdict": verdict,
                "causes": [{"code": code, "text": text} for code, text in causes],
            },
        }
    )


def refuse(*causes: tuple[str, str]) -> tuple[str, list[tuple[str, str]]]:
    return "refuse", list(causes)


def fields(names: str) -> tuple[str, str]:
    return "fields", f"fields not permitted: {names}"


def bounty(wei: int, least: int) -> tuple[str, str]:
    return "bounty", f"its bounty for mines is {wei} wei, below the least of {least} wei"


def bond(wei: int, most: int) -> tuple[str, str]:
    return "bond", f"its bond is {wei} wei, above the most of {most} wei"


def token(address: str) -> tuple[str, str]:
    return "token", f"it pays in the token {address}, which is not accepted"


def party(role: str, address: str, *, denied: bool) -> tuple[str, str]:
    name = role.replace("-", " ")
    end = "is denied" if denied else "is not among the allowed"
    return role, f"the {name} {address} {end}"


def rounds(count: int) -> tuple[str, str]:
    return "rounds", f"it had its {count} gradients"


def epsilon(cost: str, spent: str, budget: str) -> tuple[str, str]:
    return "epsilon", f"it costs epsilon {cost}; {spent} of {budget} are spent"


NO_PRIVACY = (
    "privacy",
    "it offers no differential privacy for rows, and a privacy budget is set",
)


def outside(spans: str, zone: str = "UTC") -> tuple[str, list[tuple[str, str]]]:
    return "wait", [("hours", f"it is outside the permitted hours {spans} ({zone})")]


def build() -> None:
    modes()
    field_cases()
    money()
    parties()
    limits()
    privacy()
    hours()
    together()


def modes() -> None:
    case("nothing is said: denied", DENIED, {"mode": "deny", "fields": []})
    case("denied though fields are named", DENIED, {"mode": "deny"})
    case("denied beats the owner's approval", DENIED, {"mode": "deny"}, use={"answer": "approved"})
    case("automatic", ACCEPTED)
    case("ask, no answer yet", ASKED, {"mode": "ask"})
    case("ask, approved", APPROVED, {"mode": "ask"}, use={"answer": "approved"})
    case("ask, refused", REFUSED, {"mode": "ask"}, use={"answer": "refused"})
    case("automatic, but the owner refused it", REFUSED, use={"answer": "refused"})
    case("automatic, approved besides", ACCEPTED, use={"answer": "approved"})
    network = {"trains_network": True}
    named = {"capsules": [CAPSULE]}
    case("automatic, a network, any capsule", ASKED_OF_NETWORK, request=network)
    case("automatic, a network, approved", APPROVED, request=network, use={"answer": "approved"})
    case("automatic, a network, a capsule that is named", ACCEPTED, named, request=network)
    case("ask, a network, a capsule that is named", ASKED, {"mode": "ask"} | named, request=network)
    case(
        "approval does not lift a criterion",
        refuse(bounty(1000, 2000)),
        {"mode": "ask", "min_bounty_wei": "2000"},
        use={"answer": "approved"},
    )


def field_cases() -> None:
    case("no field permitted", refuse(fields("label, pixels")), {"fields": []})
    case("one field permitted", refuse(fields("label")), {"fields": ["pixels"]})
    case("the other field permitted", refuse(fields("pixels")), {"fields": ["label"]})
    case("both permitted", ACCEPTED, {"fields": ["label", "pixels"]})
    case("more permitted than asked", ACCEPTED, {"fields": ["label", "pixels", "name"]})
    case("names are exact", refuse(fields("label, pixels")), {"fields": ["Pixels", "LABEL"]})
    case("star among names", ACCEPTED, {"fields": ["name", "*"]})
    case("a pattern is no star", refuse(fields("label, pixels")), {"fields": ["p*"]})
    case("one field asked", ACCEPTED, {"fields": ["pixels"]}, {"fields": ["pixels"]})
    case(
        "denied fields are sorted",
        refuse(fields("Zebra, age, name")),
        {"fields": ["pixels"]},
        {"fields": ["name", "pixels", "age", "Zebra"]},
    )
    case(
        "a field asked twice is denied once",
        refuse(fields("label")),
        {"fields": ["pixels"]},
        {"fields": ["pixels", "label", "label"]},
    )


def money() -> None:
    case("bounty at the least", ACCEPTED, {"min_bounty_wei": "1000"})
    case("bounty one below", refuse(bounty(1000, 1001)), {"min_bounty_wei": "1001"})
    case("no bounty for mines", refuse(bounty(0, 1)), {"min_bounty_wei": "1"}, {"bounty_wei": "0"})
    case("no least, no bounty", ACCEPTED, request={"bounty_wei": "0"})
    big = 10**30
    case("amounts beyond 64 bits", ACCEPTED, {"min_bounty_wei": str(big)}, {"bounty_wei": str(big)})
    case(
        "amounts beyond 64 bits, one below",
        refuse(bounty(big - 1, big)),
        {"min_bounty_wei": str(big)},
        {"bounty_wei": str(big - 1)},
    )
    case(
        "amounts that binary floats confuse",
        refuse(bounty(2**53, 2**53 + 1)),
        {"min_bounty_wei": str(2**53 + 1)},
        {"bounty_wei": str(2**53)},
    )
    case("bond at the most", ACCEPTED, {"max_bond_wei": "10"})
    case("bond one above", refuse(bond(10, 9)), {"max_bond_wei": "9"})
    case("no bond allowed, none asked", ACCEPTED, {"max_bond_wei": "0"}, {"bond_wei": "0"})
    case("no bond allowed, one asked", refuse(bond(1, 0)), {"max_bond_wei": "0"}, {"bond_wei": "1"})
    tenth = 10**17
    case("the bond that is allowed unsaid", ACCEPTED, request={"bond_wei": str(tenth)})
    case(
        "above the bond that is allowed unsaid",
        refuse(bond(tenth + 1, tenth)),
        request={"bond_wei": str(tenth + 1)},
    )
    case("a token, none accepted", refuse(token(TOKEN)), request={"token": TOKEN})
    case("a token that is accepted", ACCEPTED, {"tokens": [TOKEN]}, {"token": TOKEN})
    case("ether beside tokens", ACCEPTED, {"tokens": [TOKEN]})
    case(
        "a token in other letters",
        ACCEPTED,
        {"tokens": [TOKEN.upper().replace("0X", "0x")]},
        {"token": TOKEN},
    )
    case(
        "another token, told in small letters",
        refuse(token(OTHER)),
        {"tokens": [TOKEN]},
        {"token": OTHER.upper().replace("0X", "0x")},
    )


def parties() -> None:
    for role, key, address, other in (
        ("data-scientist", "data_scientist", OWNER, OTHER),
        ("capsule", "capsule", CAPSULE, CAPSULE_2),
    ):
        allowed, denied = f"{key}s", f"denied_{key}s"
        capitals = address.upper().replace("0X", "0x")
        no = refuse(party(role, address, denied=False))
        never = refuse(party(role, address, denied=True))
        case(f"{role}: the only one allowed", ACCEPTED, {allowed: [address]})
        case(f"{role}: one of two allowed", ACCEPTED, {allowed: [other, address]})
        case(f"{role}: another one allowed", no, {allowed: [other]})
        case(f"{role}: denied", never, {denied: [address]})
        case(f"{role}: another one denied", ACCEPTED, {denied: [other]})
        case(
            f"{role}: allowed and denied is denied", never, {allowed: [address], denied: [address]}
        )
        case(f"{role}: allowed in capitals", ACCEPTED, {allowed: [capitals]})
        case(f"{role}: denied in capitals", never, {denied: [capitals]})
        case(f"{role}: asks in capitals, denied", never, {denied: [address]}, {key: capitals})
        case(
            f"{role}: not allowed, with another one denied",
            no,
            {allowed: [other], denied: [other]},
        )


def limits() -> None:
    case("no gradient yet", ACCEPTED, {"max_rounds": 1}, use={"rounds": 0})
    case("the last gradient was given", refuse(rounds(1)), {"max_rounds": 1}, use={"rounds": 1})
    case("one gradient is left", ACCEPTED, {"max_rounds": 8}, use={"rounds": 7})
    case("none is left", refuse(rounds(8)), {"max_rounds": 8}, use={"rounds": 8})
    case("the limit was lowered since", refuse(rounds(2)), {"max_rounds": 2}, use={"rounds": 5})
    case("sixteen unsaid", refuse(rounds(16)), use={"rounds": 16})
    case("fifteen of sixteen unsaid", ACCEPTED, use={"rounds": 15})


def asks(cost: float, level: str = "record") -> dict[str, Any]:
    return {"privacy": {"epsilon": cost, "delta": 1e-6, "level": level}}


def privacy() -> None:
    case("privacy offered, no budget set", ACCEPTED, request=asks(1.0))
    case("budget set, none offered", refuse(NO_PRIVACY), {"epsilon_budget": 1.0})
    case(
        "budget set, only clients are protected",
        refuse(NO_PRIVACY),
        {"epsilon_budget": 1.0},
        asks(0.5, "client"),
    )
    case("clients protected, no budget set", ACCEPTED, request=asks(0.5, "client"))
    case("within the budget", ACCEPTED, {"epsilon_budget": 2.0}, asks(1.0))
    case("the whole budget", ACCEPTED, {"epsilon_budget": 1.0}, asks(1.0))
    case(
        "above the budget",
        refuse(epsilon("1.5", "0", "1")),
        {"epsilon_budget": 1.0},
        asks(1.5),
    )
    case(
        "the rest suffices",
        ACCEPTED,
        {"epsilon_budget": 3.0},
        asks(1.0),
        {"epsilon_spent": 2.0},
    )
    case(
        "the rest does not suffice",
        refuse(epsilon("1.25", "2", "3")),
        {"epsilon_budget": 3.0},
        asks(1.25),
        {"epsilon_spent": 2.0},
    )
    case(
        "a tenth and two tenths are three tenths",
        ACCEPTED,
        {"epsilon_budget": 0.3},
        asks(0.1),
        {"epsilon_spent": 0.2},
    )
    case(
        "all is spent, but on this campaign's own release",
        ACCEPTED,
        {"epsilon_budget": 1.0},
        asks(1.0),
        {"epsilon_spent": 1.0, "epsilon_paid_here": True},
    )
    case(
        "numbers are told with six digits at most",
        refuse(epsilon("0.333333", "0.666667", "0.7")),
        {"epsilon_budget": 0.7},
        asks(0.3333333),
        {"epsilon_spent": 0.6666667},
    )
    case(
        "spent without a budget does not matter",
        ACCEPTED,
        request=asks(9.0),
        use={"epsilon_spent": 99},
    )


def hours() -> None:
    night, office = ["22:00-06:00"], ["09:00-17:00"]
    case("within the hours", ACCEPTED, {"hours": office})
    case("outside the hours", outside("22:00-06:00"), {"hours": night})
    case("the first minute", ACCEPTED, {"hours": office}, now="2026-01-05T09:00:00Z")
    case("just before", outside("09:00-17:00"), {"hours": office}, now="2026-01-05T08:59:59Z")
    case("the last minute", ACCEPTED, {"hours": office}, now="2026-01-05T16:59:59Z")
    case("the end is out", outside("09:00-17:00"), {"hours": office}, now="2026-01-05T17:00:00Z")
    case("before midnight", ACCEPTED, {"hours": night}, now="2026-01-05T23:30:00Z")
    case("after midnight", ACCEPTED, {"hours": night}, now="2026-01-06T05:59:00Z")
    case("two spans", ACCEPTED, {"hours": [*night, "11:30-12:30"]})
    case(
        "between two spans",
        outside("06:00-08:00, 13:00-14:00"),
        {"hours": ["06:00-08:00", "13:00-14:00"]},
    )
    case("a span of the whole day", ACCEPTED, {"hours": ["00:00-00:00"]})
    case(
        "hours of Lisbon in summer",
        ACCEPTED,
        {"hours": ["13:00-14:00"], "timezone": "Europe/Lisbon"},
        now="2026-07-01T12:30:00Z",
    )
    case(
        "hours of Lisbon in winter",
        outside("13:00-14:00", "Europe/Lisbon"),
        {"hours": ["13:00-14:00"], "timezone": "Europe/Lisbon"},
        now="2026-01-05T12:30:00Z",
    )
    case(
        "half hours of Kolkata",
        ACCEPTED,
        {"hours": ["17:30-18:00"], "timezone": "Asia/Kolkata"},
        now="2026-01-05T12:00:00Z",
    )


def together() -> None:
    case(
        "every criterion fails, in this order",
        refuse(
            ("refused", "the owner refused it"),
            fields("label"),
            token(TOKEN),
            bounty(1000, 5000),
            bond(10, 1),
            party("data-scientist", OWNER, denied=True),
            party("capsule", CAPSULE, denied=False),
            rounds(2),
            NO_PRIVACY,
        ),
        {
            "mode": "ask",
            "fields": ["pixels"],
            "min_bounty_wei": "5000",
            "max_bond_wei": "1",
            "denied_data_scientists": [OWNER],
            "capsules": [CAPSULE_2],
            "max_rounds": 2,
            "epsilon_budget": 1.0,
            "hours": ["22:00-06:00"],
        },
        {"token": TOKEN},
        {"rounds": 2, "answer": "refused"},
    )
    case(
        "denied, whatever else fails",
        DENIED,
        {"mode": "deny", "fields": [], "min_bounty_wei": "5000", "max_rounds": 1},
        use={"rounds": 9, "answer": "refused"},
    )
    case(
        "two amounts at once",
        refuse(bounty(1000, 1001), bond(10, 9)),
        {"min_bounty_wei": "1001", "max_bond_wei": "9"},
    )
    case(
        "both parties at once",
        refuse(
            party("data-scientist", OWNER, denied=False), party("capsule", CAPSULE, denied=True)
        ),
        {"data_scientists": [OTHER], "denied_capsules": [CAPSULE]},
    )
    case(
        "a refusal beats waiting",
        refuse(bounty(1000, 5000)),
        {"min_bounty_wei": "5000", "hours": ["22:00-06:00"]},
    )
    case("waiting beats asking", outside("22:00-06:00"), {"mode": "ask", "hours": ["22:00-06:00"]})
    case(
        "approved, but not yet the hour",
        outside("22:00-06:00"),
        {"mode": "ask", "hours": ["22:00-06:00"]},
        use={"answer": "approved"},
    )


if __name__ == "__main__":
    build()
    print(len(CASES))
    place = Path(__file__).with_name("cases.json")
    place.write_text(json.dumps(CASES, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
