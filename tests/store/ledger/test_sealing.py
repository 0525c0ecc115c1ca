"""Secrets at rest: what the ledger's files contain, who can read it, and secrets stored before encryption."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from clickloop.conversion.notice import Channel, RawNotice
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.machine.secret_box import SecretBox, SecretError, is_sealed
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback, PostbackFilter
from clickloop.postback.rule import LOST_REQUEST, Header, PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.secret_names import is_secret_name
from clickloop.postback.sending.client import first_hop
from clickloop.setup.network import Network
from clickloop.store.ledger.audit.row_checks import wrong_postbacks
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import find_notice, insert_notices
from clickloop.store.ledger.logs.postbacks import insert_postbacks, postbacks_before
from clickloop.store.ledger.queue.claiming import claim_due
from clickloop.store.ledger.schema.sealing import may_hold_secret
from clickloop.store.ledger.setup.lost_secrets import LostRequests, accept_lost_requests
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.postback_rules import find_stored_rule, insert_rule
from clickloop.store.ledger.setup.rules import applicable_rules
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000
SECRET = "s3cr3t-of-the-network"
BOT = "123456:AAbot-token-of-the-owner"
TEMPLATE = RequestTemplate(
    url=f"https://api.telegram.example/bot{BOT}/sendMessage?text={{payout}}",
    headers=(Header("Authorization", f"Bearer {SECRET}"),),
    secrets=(BOT,),
)
REQUEST = PostbackRequest(url=f"https://source.example/conv?cid=1&api_key={SECRET}")


def filled(path: Path, box: SecretBox | None) -> Ledger:
    """Return a ledger with a network, a rule, a postback and a notice, each with a secret."""
    ledger = open_ledger(path, box)
    with ledger.write() as tx:
        NETWORKS.write(tx, Network(name="Network", token=SECRET), NOW)
        insert_rule(tx, PostbackRule(rule_id=0, name="Rule", request=TEMPLATE), NOW)
        owed = DuePostback(REQUEST, NOW, ())
        postback = NewPostback(
            postback_id="p" * 26,
            conversion_id="c" * 26,
            version=1,
            rule_id=1,
            click_id="k" * 26,
            campaign_id=1,
            source_id=1,
            trigger="new",
            decision=owed,
            receiver="source.example:443",
        )
        insert_postbacks(tx, [postback], NOW)
        raw = RawNotice(notice_id="n" * 26, at=NOW, channel=Channel.S2S, method="GET", query=f"cid=x&token={SECRET}")
        insert_notices(tx, [StoredNotice(raw=raw, outcome=NoticeOutcome.WAITING, look_again_at=NOW)])
    return ledger


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_no_secret_is_readable_in_the_files_of_a_ledger_with_a_key(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32)).close()
    assert not [secret for secret in (SECRET, BOT) if secret.encode() in stored_bytes(tmp_path)]


def test_without_a_key_the_same_files_contain_them(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", None).close()
    assert [secret for secret in (SECRET, BOT) if secret.encode() in stored_bytes(tmp_path)] == [SECRET, BOT]


def test_with_the_key_everything_reads_as_it_was_written(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32)).close()
    ledger = Ledger.open(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32))
    with ledger.write() as tx:
        network, rule, notice = NETWORKS.find(tx, 1), find_stored_rule(tx, 1), find_notice(tx, "n" * 26)
        assert network is not None
        assert rule is not None
        assert notice is not None
        assert network.token == SECRET
        assert rule.rule.request == applicable_rules(tx, [], [])[0].rule.request == TEMPLATE
        assert notice.raw.query == f"cid=x&token={SECRET}"
        assert [row.request for row in postbacks_before(tx, PostbackFilter(), None, 10)] == [REQUEST]
        assert [job.request for job in claim_due(tx, NOW, 10, 1_000).jobs] == [REQUEST]


def test_the_checksum_of_an_encrypted_row_matches_until_it_is_altered(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = filled(path, SecretBox(b"k" * 32))
    with ledger.write() as tx:
        assert wrong_postbacks(tx, ["p" * 26]) == []
        sealed = tx.scalar(text("SELECT request FROM postbacks"))
        assert sealed.startswith(b"sealed:")
        altered = sealed[:-30] + (b"A" if sealed[-30:-29] != b"A" else b"B") + sealed[-29:]
        tx.execute(text("UPDATE postbacks SET request = :request"), {"request": altered})
        assert wrong_postbacks(tx, ["p" * 26]) == ["p" * 26]


def test_a_secret_of_another_key_raises_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32)).close()
    for box in (SecretBox(b"x" * 32), None):
        ledger = Ledger.open(tmp_path / "ledger.sqlite", box)
        with ledger.read() as tx, pytest.raises(SecretError, match=r"click_id\.key"):
            NETWORKS.find(tx, 1)
        ledger.close()


def test_requests_of_a_lost_key_are_counted_and_accepted_by_the_self_audit(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32)).close()
    ledger = Ledger.open(tmp_path / "ledger.sqlite", SecretBox(b"n" * 32))
    with ledger.write() as tx:
        assert wrong_postbacks(tx, ["p" * 26]) == ["p" * 26]
        assert accept_lost_requests(tx) == LostRequests(postbacks=1, unfinished=1)
        assert wrong_postbacks(tx, ["p" * 26]) == []
        tx.execute(text("UPDATE postbacks SET request = CAST(request AS TEXT) || 'x'"))
        assert wrong_postbacks(tx, ["p" * 26]) == ["p" * 26], "later damage is still found"
    ledger.close()


def test_requests_that_can_be_decrypted_are_not_accepted_as_lost(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32))
    with ledger.write() as tx:
        tx.execute(text("UPDATE postbacks SET receiver = 'elsewhere.example:443'"))
        assert accept_lost_requests(tx) == LostRequests()
        assert wrong_postbacks(tx, ["p" * 26]) == ["p" * 26]
    ledger.close()


def test_a_postback_whose_request_is_lost_fails_with_an_error_that_says_why(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32)).close()
    ledger = Ledger.open(tmp_path / "ledger.sqlite", SecretBox(b"n" * 32))
    with ledger.write() as tx:
        (job,) = claim_due(tx, NOW, 10, 1000).jobs
    ledger.close()
    assert first_hop(job.request) == LOST_REQUEST


def test_plain_secrets_are_encrypted_when_the_ledger_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    filled(path, None).close()
    ledger = Ledger.open(path, SecretBox(b"k" * 32))
    with ledger.read() as tx:
        network, rule = NETWORKS.find(tx, 1), find_stored_rule(tx, 1)
        assert network is not None
        assert rule is not None
        assert (network.token, rule.rule.request) == (SECRET, TEMPLATE)
        token = tx.scalar(text("SELECT token FROM networks"))
        request = tx.scalar(text("SELECT request FROM postback_rules"))
    assert is_sealed(token)
    assert str(request).startswith('"sealed:')


def test_a_postback_without_a_secret_is_stored_as_it_is(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite", SecretBox(b"k" * 32))
    request = PostbackRequest(url="https://source.example/conv?cid=1&pay=2.5&country=DE")
    with ledger.write() as tx:
        postback = NewPostback(
            postback_id="p" * 26,
            conversion_id="c" * 26,
            version=1,
            rule_id=1,
            click_id="k" * 26,
            campaign_id=1,
            source_id=1,
            trigger="new",
            decision=DuePostback(request, NOW, ()),
        )
        insert_postbacks(tx, [postback], NOW)
    ledger.close()
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    (stored,) = connection.execute("SELECT request FROM postbacks").fetchone()
    connection.close()
    assert stored.startswith(b"{")


@pytest.mark.parametrize("secret", ["", "x", "ключ", "a" * 200, "sealed:not", "\U0001f511"])
def test_any_text_decrypts_to_itself(secret: str) -> None:
    box = SecretBox(b"k" * 32)
    assert box.open(box.seal(secret)) == secret
    assert box.seal(secret) != box.seal(secret)


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "API-Key",
        "security_code",
        "pin",
        "otp",
        "jwt",
        "access",
        "Cookie",
        "pass.phrase",
        "bearer",
        "x_cred",
        "hmac",
    ],
)
@pytest.mark.parametrize("form", ["a=1&{}=s", "%3Fa%3D1%26{}%3Ds", '{{"{}": "s"}}', '{{"name":"{}","value":"s"}}'])
def test_what_is_masked_on_screen_by_name_is_encrypted_in_the_ledger(name: str, form: str) -> None:
    assert is_secret_name(name)
    assert may_hold_secret(form.format(name).encode())


def test_what_contains_no_name_of_a_secret_is_stored_as_it_is() -> None:
    assert not may_hold_secret(b"https://source.example/conv?cid=01kaqj6z8m4x2c9v7b5n3t1w0y&payout=1.5&status=sale")
