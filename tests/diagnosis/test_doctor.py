"""The doctor: a healthy folder has no faults, and each fault is found."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update
from typer.testing import CliRunner

from clickloop.alarm.alarms import Alarms
from clickloop.cli import app
from clickloop.clock import HOUR_MS
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_checks import MAX_SHOWN
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.store.delivery_hold import hold_deliveries
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.segment import closed_segment_bytes, record_line
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.audit.row_checks import conversion_check
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import ChangesFilter, changes_before
from clickloop.store.ledger.logs.notices import insert_notices
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.schema.tables import conversion_changes, conversions, postback_rules, receivers
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.click.geo.mmdb import GEOIP_ISP, GEOLITE_CITY, base_of
from tests.empty_stores import open_facts, open_ledger
from tests.store.used_folder import used

NOW = 1_772_366_400_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder whose server has been stopped."""
    open_ledger(tmp_path / "ledger.sqlite").close()
    open_facts(tmp_path / "facts.duckdb").close()
    return tmp_path


def unwell(folder: Path, now_ms: int = NOW) -> list[tuple[str, DoctorVerdict]]:
    """Return the findings that are not well, except about the machine's disk."""
    found = [finding for finding in examine(folder, now_ms) if finding.verdict is not DoctorVerdict.WELL]
    assert all(finding.remedy for finding in found)
    return [(finding.place, finding.verdict) for finding in found if finding.place != "disk"]


def harmed(folder: Path, statement: str) -> None:
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.write() as tx:
        tx.execute(text("PRAGMA ignore_check_constraints = ON"))
        tx.execute(text(statement))
        tx.execute(text("PRAGMA ignore_check_constraints = OFF"))
    ledger.close()


def with_postback(folder: Path, **replaced: object) -> None:
    """Insert a change decided for one rule, and its postback, due now."""
    ledger = Ledger.open(folder / "ledger.sqlite")
    raw = RawNotice(notice_id="n" * 26, at=NOW, channel=Channel.S2S)
    made = NewPostback(
        postback_id="p" * 26,
        conversion_id="c" * 26,
        version=1,
        rule_id=1,
        click_id="k" * 26,
        campaign_id=1,
        source_id=1,
        trigger="new",
        decision=DuePostback(PostbackRequest(url="https://r.example/"), NOW, ()),
        receiver="r.example:443",
    )
    texts = (
        "txid",
        "status_key",
        "status_word",
        "currency",
        "payout_text",
        "latest_order",
        "status_order",
        "payout_order",
        "flags",
    )
    numbers = ("campaign_id", "source_id", "offer_id", "network_id", "payout_micros")
    moments = ("converted_at", "created_at", "updated_at")
    with ledger.write() as tx:
        insert_rule(tx, PostbackRule(rule_id=0, name="R", request=RequestTemplate(url="https://r.example/")), NOW)
        registered = {"outcome": NoticeOutcome.NEW, "conversion_id": "c" * 26, "version": 1}
        insert_notices(tx, [StoredNotice(raw=raw, **registered)])  # type: ignore[arg-type]
        row = {
            "conversion_id": "c" * 26,
            "click_id": "k" * 26,
            "counts_as": "confirmed",
            "first_of_click": True,
            "test": False,
            "version": 1,
            "click": b"{}",
            "parameters": b"{}",
            **dict.fromkeys(texts, ""),
            **dict.fromkeys(numbers, 0),
            **dict.fromkeys(moments, NOW),
        }
        tx.execute(insert(conversions).values(**row, row_check=conversion_check(row)))
        change = {"conversion_id": "c" * 26, "version": 1, "at": NOW, "notice_id": "n" * 26, "after": b"{}"}
        tx.execute(insert(conversion_changes).values(**change | {"rules_decided": 1} | replaced))
        insert_postbacks(tx, [made], NOW)
    ledger.close()


def test_a_healthy_folder_has_no_faults_and_reports_what_adds_up(folder: Path) -> None:
    with_postback(folder)
    assert unwell(folder) == []
    sentences = [finding.sentence for finding in examine(folder, NOW)]
    assert any("1 conversion change, 1 decision = 1 waiting + 0 sending" in sentence for sentence in sentences)


def with_torn_segment(folder: Path) -> None:
    path = folder / "journal" / "clicks" / "edge1.x" / "00000001.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(closed_segment_bytes(1, [record_line(b'{"a":1}').rstrip(b"\n")])[:-30])


def with_old_segment(folder: Path) -> None:
    path = folder / "journal" / "notices" / "edge1.x" / "00000001.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(closed_segment_bytes(1, []))


def with_kept_damage(folder: Path) -> None:
    path = folder / "settled" / "clicks" / "edge1.x" / "00000001.damaged"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")


def with_damaged_ledger(folder: Path) -> None:
    with_postback(folder)
    path = folder / "ledger.sqlite"
    octets = bytearray(path.read_bytes())
    for place in range(3 * 4096, len(octets), 4096):
        octets[place : place + 8] = b"\xff" * 8
    path.write_bytes(octets)


def with_waiting_notice(folder: Path) -> None:
    ledger = Ledger.open(folder / "ledger.sqlite")
    raw = RawNotice(notice_id="n" * 26, at=NOW, channel=Channel.S2S)
    with ledger.write() as tx:
        insert_notices(tx, [StoredNotice(raw=raw, outcome=NoticeOutcome.WAITING, look_again_at=NOW - HOUR_MS)])
    ledger.close()


def with_large_outbox(folder: Path) -> None:
    statement = (
        "INSERT INTO fact_outbox (fact) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50001)"
    )
    harmed(folder, f"{statement} SELECT x'00' FROM n")


def with_delivery_of_nothing(folder: Path) -> None:
    with_postback(folder)
    harmed(folder, "UPDATE postbacks SET state = 'delivered', next_attempt_at = NULL, finished_at = 1")


def with_timeless_postback(folder: Path) -> None:
    with_postback(folder)
    harmed(folder, "UPDATE postbacks SET next_attempt_at = NULL")


def with_damaged_facts(folder: Path) -> None:
    (folder / "facts.duckdb").write_bytes(b"no database" * 2_000)


def with_clicks(folder: Path) -> None:
    """Write facts with several row groups to disk."""
    facts = DuckDbFacts.open(folder / "facts.duckdb", memory_limit_mb=256)
    facts._writer.execute(
        "INSERT INTO facts (fact_at, campaign_id, click_id, useragent) "
        "SELECT i, 1, 'click ' || i, 'agent ' || hash(i) FROM range(300000) rows(i)"
    )
    facts._writer.execute("CHECKPOINT")
    facts.close()


def with_unreadable_block(folder: Path) -> None:
    with_clicks(folder)
    flip_a_bit_of(folder / "facts.duckdb", b"agent ")


def flip_a_bit_of(path: Path, octets: bytes) -> None:
    """Flip one bit in the last block that contains a text, so that its checksum is wrong."""
    data = bytearray(path.read_bytes())
    place = data.rindex(octets)
    data[place] ^= 1
    path.write_bytes(data)


def with_gap(folder: Path) -> None:
    for place, number in (("settled", 3), ("journal", 4), ("journal", 7)):
        path = folder / place / "notices" / "edge1.x" / f"{number:08d}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(closed_segment_bytes(number, []))
        os.utime(path, (NOW // 1000, NOW // 1000))


def with_alarm_of_supervisor(folder: Path) -> None:
    Alarms(folder, "supervisor").report("x", ["so"])


def with_alarm(folder: Path) -> None:
    Alarms(folder).report("x", ["so"])


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, DoctorVerdict]]] = {
    "a torn segment": (with_torn_segment, ("journal", DoctorVerdict.FAULT)),
    "an old segment": (with_old_segment, ("journal", DoctorVerdict.WARNING)),
    "a kept damage": (with_kept_damage, ("journal", DoctorVerdict.WARNING)),
    "a damaged ledger": (with_damaged_ledger, ("ledger", DoctorVerdict.FAULT)),
    "an undecided change": (lambda folder: with_postback(folder, rules_decided=None), ("audit", DoctorVerdict.FAULT)),
    "a missing postback": (lambda folder: with_postback(folder, rules_decided=2), ("audit", DoctorVerdict.FAULT)),
    "a postback of nothing": (lambda folder: with_postback(folder, version=2), ("audit", DoctorVerdict.FAULT)),
    "a delivery of nothing": (with_delivery_of_nothing, ("audit", DoctorVerdict.FAULT)),
    "a postback without a moment": (with_timeless_postback, ("postbacks", DoctorVerdict.FAULT)),
    "a notice that is stuck": (with_waiting_notice, ("notices", DoctorVerdict.WARNING)),
    "facts that are behind": (with_large_outbox, ("facts", DoctorVerdict.WARNING)),
    "damaged facts": (with_damaged_facts, ("facts", DoctorVerdict.FAULT)),
    "facts that are not there": (lambda folder: (folder / "facts.duckdb").unlink(), ("facts", DoctorVerdict.WARNING)),
    "facts with a block that cannot be read": (with_unreadable_block, ("facts", DoctorVerdict.FAULT)),
    "segments missing between others": (with_gap, ("journal", DoctorVerdict.FAULT)),
    "an alarm of the supervisor": (with_alarm_of_supervisor, ("alarm", DoctorVerdict.WARNING)),
    "an alarm": (with_alarm, ("alarm", DoctorVerdict.WARNING)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_well_is_found(folder: Path, case: str) -> None:
    make, expected = CASES[case]
    make(folder)
    assert expected in unwell(folder, 4_000_000_000_000 if case == "an old segment" else NOW)


def test_unreadable_facts_are_reported_with_their_place_and_the_rest_is_read(folder: Path) -> None:
    with_unreadable_block(folder)
    sentences = [
        one.sentence for one in examine(folder, NOW) if one.place == "facts" and one.verdict is DoctorVerdict.FAULT
    ]
    assert sentences
    assert all(one.startswith("facts.") and " cannot be read in rows " in one for one in sentences[:MAX_SHOWN])
    assert "checksum" in sentences[0]
    facts = DuckDbFacts.open(folder / "facts.duckdb", memory_limit_mb=256)
    try:
        whole = facts.verify()
        assert "useragent" in {one.column for one in whole.unreadable}  # columns that are small share its blocks
        assert "click_id" not in {one.column for one in whole.unreadable}
        found = list(facts.verify(0, seconds=0).unreadable)
        following, calls = facts.verify(0, seconds=0).next_column, 1
        while following is not None:
            part = facts.verify(following, seconds=0)
            found += part.unreadable
            following, calls = part.next_column, calls + 1
        assert tuple(found) == whole.unreadable
        assert calls == whole.columns
    finally:
        facts.close()


def test_all_of_sound_facts_is_read(folder: Path) -> None:
    with_clicks(folder)
    (sentence,) = [
        one.sentence for one in examine(folder, NOW) if one.place == "facts" and one.sentence.startswith("Checked in")
    ]
    # Besides the clicks a row for what was taken from the outbox, one for how far late marks were judged, the clicks' roll-up, and
    # one that says that roll-ups are complete.
    assert "300,004 rows, all intact." in sentence


def test_the_missing_segments_are_named(folder: Path) -> None:
    with_gap(folder)
    (sentence,) = [one.sentence for one in examine(folder, NOW) if "are missing" in one.sentence]
    assert "notices/edge1.x: segments 5 to 6 were written but are missing" in sentence


def about_postbacks(folder: Path) -> list[str]:
    """Return the findings about postbacks that are not well, an hour later."""
    found = examine(folder, NOW + HOUR_MS)
    return [one.sentence for one in found if one.place == "postbacks" and one.verdict is not DoctorVerdict.WELL]


def test_an_overdue_postback_is_reported_and_so_is_the_paused_rule_or_receiver_it_waits_for(folder: Path) -> None:
    with_postback(folder)
    assert about_postbacks(folder) == ["1 postback is overdue by more than ten minutes."]
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.write() as tx:
        tx.execute(insert(receivers).values(receiver="r.example:443", opened_at=NOW, probe_at=NOW, probes=0, why="x"))
    assert about_postbacks(folder) == ["The receiver r.example:443 is paused: 1 postback is waiting."]
    with ledger.write() as tx:
        tx.execute(update(receivers).values(opened_at=None, probe_at=None, held_until=NOW + 2 * HOUR_MS))
    assert about_postbacks(folder) == []
    with ledger.write() as tx:
        tx.execute(update(postback_rules).values(paused_at=NOW, archived_at=NOW))
    ledger.close()
    (text,) = about_postbacks(folder)
    assert text.startswith("Rule 1 ")
    assert text.endswith(" is paused and archived: 1 postback is waiting.")


def test_lost_rows_are_reported_with_the_click_whose_trace_shows_them(folder: Path) -> None:
    with_delivery_of_nothing(folder)
    remedies = [finding.remedy for finding in examine(folder, NOW)]
    assert f"To see its history, run: clickloop trace {'k' * 26}" in remedies


def test_an_alarm_of_a_stopped_server_is_reported_as_an_old_one(folder: Path) -> None:
    with_alarm(folder)
    sentences = [finding.sentence for finding in examine(folder, NOW)]
    assert "Alarm when the core last ran: so" in sentences


def test_the_command_ends_with_1_for_a_fault_and_with_0_for_a_warning(folder: Path) -> None:
    with_kept_damage(folder)
    result = CliRunner().invoke(app, ["doctor", "--data", str(folder)])
    assert "audit" in result.stdout
    assert result.exit_code == 0
    with_torn_segment(folder)
    assert CliRunner().invoke(app, ["doctor", "--data", str(folder)]).exit_code == 1


def test_a_folder_without_a_ledger_is_left_alone(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["doctor", "--data", str(tmp_path)]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_refuses_a_lost_ledger_and_makes_none(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    assert unwell(folder) == []
    (folder / "ledger.sqlite").unlink()
    assert unwell(folder) == [("stores", DoctorVerdict.FAULT)]
    assert not (folder / "ledger.sqlite").exists()
    result = CliRunner().invoke(app, ["doctor", "--data", str(folder)])
    assert result.exit_code == 1
    assert "clickloop serve --new" in result.output


def test_the_doctor_finds_a_ledger_that_was_emptied(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    (folder / "ledger.sqlite").unlink()
    Ledger.open(folder / "ledger.sqlite").close()
    assert ("stores", DoctorVerdict.FAULT) in unwell(folder)


def test_lost_segments_are_a_fault_until_they_are_confirmed(folder: Path) -> None:
    writer = JournalWriter.open(folder / "journal", "notices", "edge1")
    writer.append(b'{"a":1}')
    writer.close()
    shutil.rmtree(writer.path)
    assert unwell(folder) == [("journal", DoctorVerdict.FAULT)]
    assert any("segments 1 to 1 " in finding.sentence for finding in examine(folder, NOW))
    result = CliRunner().invoke(app, ["doctor", "--confirm", "--data", str(folder)])
    assert "Confirmed 1 report of damage to the journal." in result.output
    assert unwell(folder) == []


def test_rows_that_were_changed_by_hand_are_a_fault_until_they_are_accepted_and_the_change_log_names_them(
    folder: Path,
) -> None:
    with_postback(folder)
    assert unwell(folder) == []
    harmed(folder, "UPDATE postbacks SET receiver = 'elsewhere.example:443'")
    assert ("audit", DoctorVerdict.FAULT) in unwell(folder)
    result = CliRunner().invoke(app, ["doctor", "--confirm", "--data", str(folder)])
    assert "Accepted 1 changed row in the ledger." in result.output
    assert unwell(folder) == []
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.read() as tx:
        (change,) = changes_before(tx, ChangesFilter(noun="health"), None, 10)
    ledger.close()
    assert change.before == {"rows": 1, "which": [f"{'p' * 26}: postback_check"]}
    again = CliRunner().invoke(app, ["doctor", "--confirm", "--data", str(folder)])
    assert "Accepted" not in again.output


def test_postbacks_on_hold_are_not_called_late(folder: Path) -> None:
    with_postback(folder)
    later = NOW + HOUR_MS
    assert [finding.sentence for finding in examine(folder, later) if "overdue by" in finding.sentence]
    hold_deliveries(folder, "restored from a backup of yesterday", NOW)
    sentences = [finding.sentence for finding in examine(folder, later)]
    assert not [sentence for sentence in sentences if "overdue by" in sentence]
    assert "All postbacks are on hold: restored from a backup of yesterday." in sentences


def test_each_geo_base_is_reported_with_its_age_and_coverage_and_what_no_base_has(folder: Path) -> None:
    (folder / "geo").mkdir()
    (folder / "geo" / "isp.mmdb").write_bytes(base_of(GEOIP_ISP, "GeoIP2-ISP", built_at=NOW // 1000 - 61 * 86_400))
    city = folder / "city.mmdb"
    city.write_bytes(base_of(GEOLITE_CITY, "GeoLite2-City", built_at=NOW // 1000 - 86_400))
    (folder / "geo" / "torn.mmdb").write_bytes(base_of(GEOLITE_CITY)[:-1])
    found = [finding for finding in examine(folder, NOW, str(city)) if finding.place == "geo"]
    well, warning = DoctorVerdict.WELL, DoctorVerdict.WARNING
    assert [finding.verdict for finding in found] == [well, warning, warning, well]
    assert found[0].sentence == f"{city}: GeoLite2-City, 1 day old, with country, region, city."
    assert "GeoIP2-ISP, 61 days old, with isp, asn. Bases are out of date after 60 days." in found[1].sentence
    assert "torn.mmdb cannot be used as a geo base" in found[2].sentence
    assert found[3].sentence == "No base has connection: unknown for new visitors."


def test_without_a_base_the_included_one_is_reported_and_nothing_is_wrong(folder: Path) -> None:
    sentences = [finding.sentence for finding in examine(folder, NOW) if finding.place == "geo"]
    assert sentences[0] == "The included base: GeoLite2-Country, 621 days old, with country."
    assert sentences[1] == "No base has region, city, isp, asn, connection: unknown for new visitors."
