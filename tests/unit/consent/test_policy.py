"""Policies: which cosignatures are enough, and every way a policy file is refused."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.ledger.note import Cosigner, Signer
from consent.ledger.policy import Policy, PolicyInvalid

LOG = Signer.from_seed("journal.valombre.example", bytes(range(32)))
WITNESSES = [
    Cosigner(f"temoin.example/w{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)).verifier
    for number in range(1, 6)
]
X1, X2, X3, Y1, Y2 = (witness.vkey for witness in WITNESSES)


def nested() -> bytes:
    """Two of three witnesses of one organisation, and one of two of another."""
    return f"""
# la politique du territoire fictif de Valombre
log {LOG.vkey}\thttps://journal.valombre.example
 witness X1 {X1} https://temoin.example/w1
witness X2 {X2}
witness X3 {X3}
group X 2 X1 X2 X3

witness Y1 {Y1}
witness Y2 {Y2}
group Y any Y1 Y2
group X-et-Y all X Y
quorum X-et-Y
""".encode()


def test_every_set_of_cosignatures_is_judged_by_the_nested_quorum() -> None:
    """Of all 32 sets of witnesses, exactly those with two of X and one of Y are enough."""
    policy = Policy.parse(nested())
    assert [LOG.verifier] == [log.key for log in policy.logs]
    assert ("https://journal.valombre.example", "https://temoin.example/w1") == (
        policy.logs[0].url,
        policy.witnesses[b"X1"].url,
    )
    assert policy.keys == WITNESSES
    for present in itertools.product([False, True], repeat=5):
        signed = {witness for witness, here in zip(WITNESSES, present, strict=True) if here}
        assert policy.satisfied(signed) == (sum(present[:3]) >= 2 and any(present[3:]))


def test_no_quorum_needs_no_cosignature() -> None:
    """`quorum none` asks for nothing, with witnesses or without."""
    assert Policy.parse(b"quorum none").satisfied(set())
    assert Policy.parse(f"witness w {X1}\nquorum none\n".encode()).satisfied(set())


def test_one_witness_may_be_the_quorum() -> None:
    """The quorum may name a witness, without any group."""
    policy = Policy.parse(f"witness w {X1}\nquorum w\n".encode())
    assert not policy.satisfied({WITNESSES[1]})
    assert policy.satisfied({WITNESSES[0]})


def test_names_are_bytes() -> None:
    """A name that is not UTF-8 is a name, and two spellings that look alike are two names."""
    policy = Policy.parse(b"witness \xe9 %s\nquorum \xe9" % X1.encode())
    assert policy.quorum == b"\xe9"
    with pytest.raises(PolicyInvalid):
        Policy.parse(f"witness K {X1}\nquorum \u212a\n".encode())


def test_thirty_two_of_each_are_read() -> None:
    """The least that the format asks an implementation to take."""
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([200, number]) * 16) for number in range(64)]
    lines = [f"log {Signer(f'l{i}.example', key).vkey}" for i, key in enumerate(keys[:32])]
    lines += [f"witness w{i} {Cosigner(f'w{i}.example', key).verifier.vkey}" for i, key in enumerate(keys[32:])]
    lines += ["group g0 all w0", *(f"group g{i} all g{i - 1} w{i}" for i in range(1, 32)), "quorum g31"]
    policy = Policy.parse("\n".join(lines).encode())
    assert (32, 32, 32) == (len(policy.logs), len(policy.witnesses), len(policy.groups))
    assert policy.satisfied(set(policy.keys))
    assert not policy.satisfied(set(policy.keys[1:]))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        (f"witness w {X1}\n", 0),
        ("quorum none\nquorum none\n", 2),
        ("quorum w\n", 1),
        ("\nquorum none more\n", 2),
        ("Quorum none\n", 1),
        ("log\nquorum none\n", 1),
        (f"log {X1}\nquorum none\n", 1),
        (f"witness w {LOG.vkey}\nquorum none\n", 1),
        (f"log {LOG.vkey[:-1]}5\nquorum none\n", 1),
        (f"log {LOG.vkey}\nlog {LOG.vkey} https://autre.example\nquorum none\n", 2),
        (f"witness w {X1}\nwitness w {X2}\nquorum w\n", 2),
        (f"witness w {X1}\nwitness v {X1}\nquorum w\n", 2),
        (f"witness none {X1}\nquorum none\n", 1),
        (f"witness w {X1}\ngroup w any w\nquorum w\n", 2),
        ("group g any w\nquorum g\n", 1),
        (f"witness w {X1}\ngroup g any g\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g any\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g 2 w\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g 0 w\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g 01 w\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g some w\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g any w w\nquorum g\n", 2),
        (f"witness w {X1}\ngroup g any w\ngroup h any w\nquorum h\n", 3),
        (f"witness w {X1}\ngroup g any none\nquorum g\n", 2),
        ("quorum none\r\n", 1),
        ("quorum\x00none\n", 1),
        ("quorum\x0bnone\n", 1),
    ],
)
def test_a_policy_that_does_not_follow_the_format_is_refused_at_its_line(text: str, line: int) -> None:
    """The line of the first fault is named; 0 when what is missing is at no line."""
    with pytest.raises(PolicyInvalid) as refused:
        Policy.parse(text.encode())
    assert line == refused.value.line
