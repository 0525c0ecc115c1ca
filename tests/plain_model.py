"""A reference model of notices, rules and postbacks in plain dictionaries, which the product is compared with."""

from typing import Any

from clickloop.postback.rule import Schedule

SCHEDULE = Schedule(waits_seconds=(10, 20, 40))
STATUSES = {"": "sale", "approved": "sale", "lead": "hold", "trash": "rejected", "gibberish": "other"}
COUNTS = {"sale": "revenue", "hold": "pending", "rejected": "rejected", "other": "pending"}
FINAL = ("delivered", "failed", "cancelled", "skipped")

Key = tuple[str, str]
"""Click and txid."""


class Model:
    """The expected state, in dictionaries."""

    def __init__(self) -> None:
        self.conversions: dict[Key, dict[str, Any]] = {}
        self.rules: dict[int, dict[str, Any]] = {}
        self.rows: dict[tuple[Key, int, int, int], dict[str, Any]] = {}  # conversion, version, rule, resend

    def notice(self, key: Key, word: str, payout: int | None) -> None:
        before = self.conversions.get(key)
        after = {"status": STATUSES[word], "word": word, "payout": payout}
        if before is None:
            first = all(click != key[0] for click, _ in self.conversions)
            self.conversions[key] = after | {"payout": payout or 0, "version": 1, "first": first}
            return self.decide(key, None, "new")
        after["payout"] = before["payout"] if payout is None else payout
        if not word:  # what a notice does not say stays
            after |= {"status": before["status"], "word": before["word"]}
        changed = [name for name in ("status", "payout", "word") if after[name] != before[name]]
        if changed:
            self.conversions[key] = before | after | {"version": before["version"] + 1}
            self.decide(key, before, {"status": "status", "payout": "payout", "word": "details"}[changed[0]])
        return None

    def decide(self, key: Key, before: dict[str, Any] | None, kind: str) -> None:
        conversion = self.conversions[key]
        for number, found in self.rules.items():
            earlier = [row["reason"] for at, row in self.rows.items() if (at[0], at[2], at[3]) == (key, number, 0)]
            reason = self.reason(conversion, before, kind, found, earlier)
            if reason is None and found["every"] > 1 and None not in earlier:
                found["counted"] += 1
                reason = None if found["counted"] % found["every"] == 1 else "not_sampled"
            state = "waiting" if reason is None else "skipped"
            self.rows[key, conversion["version"], number, 0] = new_row(state, reason)

    def reason(
        self,
        conversion: dict[str, Any],
        before: dict[str, Any] | None,
        kind: str,
        found: dict[str, Any],
        earlier: list[Any],
    ) -> str | None:
        selected = found["statuses"] or ("sale", "hold", "other")
        late, undecided = {"status_not_selected", "below_minimum"}, {"rule_off", "duplicate"}
        fits_late = (
            before is not None
            and kind != "details"
            and set(earlier) <= late | undecided
            and (
                (late & set(earlier) and "rule_off" not in earlier)
                or before["status"] not in selected
                or (found["minimum"] is not None and before["payout"] < found["minimum"])
            )
        )
        if not found["active"]:
            return "rule_off"
        if conversion["status"] not in selected:
            return "status_not_selected"
        if not (kind == "new" or (kind == "status" and found["every_status"]) or fits_late):
            return "duplicate"
        if found["only_first"] and not conversion["first"]:
            return "not_unique"
        if found["minimum"] is not None and conversion["payout"] < found["minimum"]:
            return "below_minimum"
        return "not_sampled" if found["every"] > 1 and "not_sampled" in earlier else None

    def ready(self, at: tuple[Key, int, int, int]) -> bool:
        """Waiting, its rule not paused, and nothing earlier of its conversion and rule unfinished."""
        return (
            self.rows[at]["state"] == "waiting"
            and not self.rules[at[2]]["paused"]
            and not any(
                other[0] == at[0] and other[2] == at[2] and (other[1], other[3]) < (at[1], at[3])
                for other, row in self.rows.items()
                if row["state"] not in FINAL
            )
        )

    def attempt(self, at: tuple[Key, int, int, int], code: int | None) -> None:
        """An attempt was answered with this code; None: we were killed before its outcome was written."""
        row = self.rows[at]
        row["attempts"] += 1
        row["lost"] += code is None
        row["rejections"] += code == 404
        if code == 200:
            row["state"] = "delivered"
        elif code == 410:
            row["state"] = "failed"
            self.rules[at[2]]["paused"] = True
        elif code is not None and (row["attempts"] - row["lost"] >= SCHEDULE.attempts or row["rejections"] == 3):
            row["state"] = "failed"


def new_row(state: str, reason: str | None) -> dict[str, Any]:
    return {"state": state, "reason": reason, "attempts": 0, "lost": 0, "rejections": 0}
