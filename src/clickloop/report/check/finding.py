"""What a check can find: a severity, a code of a closed list, the place, a sentence and a remedy."""

import enum
from collections.abc import Sequence

import msgspec

from clickloop.clock import iso_text
from clickloop.macro import Severity


class Kind(enum.StrEnum):
    """What kind of record a finding is about."""

    INSTANCE = "instance"
    TRAFFIC_SOURCE = "traffic_source"
    CAMPAIGN = "campaign"
    OFFER = "offer"
    NETWORK = "network"
    POSTBACK_RULE = "postback_rule"
    STATUS = "status"
    RECEIVER = "receiver"


class Code(enum.StrEnum):
    """Everything that a check can find. The closed list."""

    # From the source to us
    NO_EXTERNAL_ID_PLACEHOLDER = "no_external_id_placeholder"
    PLACEHOLDER_NOT_A_MACRO = "placeholder_not_a_macro"
    OUR_MACRO_AS_PLACEHOLDER = "our_macro_as_placeholder"
    LINK_NOT_PUBLIC = "link_not_public"
    CAMPAIGN_PAUSED = "campaign_paused"
    NO_LIVE_OFFERS = "no_live_offers"
    OFFER_LEFT_OUT = "offer_left_out"
    OFFER_LOOPS = "offer_loops"
    NO_FALLBACK = "no_fallback"
    # From us to the network
    CLICK_ID_NOT_IN_OFFER = "click_id_not_in_offer"
    CLICK_ID_IN_OTHER_PARAMETER = "click_id_in_other_parameter"
    OFFER_WITHOUT_NETWORK = "offer_without_network"
    NO_VALUE_YET = "no_value_yet"
    # From the network to us
    NO_CLICK_ID_IN_NOTICE = "no_click_id_in_notice"
    NETWORK_OPEN = "network_open"
    NETWORK_TEST_ONLY = "network_test_only"
    # From us to the source and others
    NO_POSTBACK_URL = "no_postback_url"
    EXTERNAL_ID_NOT_SENT = "external_id_not_sent"
    CLICK_ID_INSTEAD_OF_EXTERNAL_ID = "click_id_instead_of_external_id"
    PRESET_WORD_LEFT = "preset_word_left"
    RULE_OFF = "rule_off"
    RULE_PAUSED = "rule_paused"
    SOURCE_RULES_OFF = "source_rules_off"
    STATUS_UNKNOWN = "status_unknown"
    STATUS_WITHOUT_WORDS = "status_without_words"
    STATUS_NOT_SENT = "status_not_sent"
    # In any template
    SOURCE_MACRO_IN_OURS = "source_macro_in_ours"
    NETWORK_MACRO_IN_OURS = "network_macro_in_ours"
    OTHER_STYLE = "other_style"
    UNKNOWN_MACRO = "unknown_macro"
    UNKNOWN_FILTER = "unknown_filter"
    WRONG_ARGUMENT = "wrong_argument"
    ENCODED_BRACES = "encoded_braces"
    UNCLOSED_MACRO = "unclosed_macro"
    STRAY_BRACE = "stray_brace"
    FULL_WIDTH_BRACES = "full_width_braces"
    INVISIBLE_CHARACTER = "invisible_character"
    HTML_ENTITY = "html_entity"
    SECOND_QUESTION_MARK = "second_question_mark"
    QUESTION_MARK_MISSING = "question_mark_missing"
    AMPERSAND_MISSING = "ampersand_missing"
    MACRO_IN_FRAGMENT = "macro_in_fragment"
    MACRO_IN_AUTHORITY = "macro_in_authority"
    ROW_OFF = "row_off"
    ROW_MISSING = "row_missing"
    ROW_WITHOUT_PLACEHOLDER = "row_without_placeholder"
    EMPTY_MACRO = "empty_macro"
    # By what came lately
    NO_CLICKS = "no_clicks"
    EXTERNAL_ID_EMPTY = "external_id_empty"
    EXTERNAL_ID_UNREPLACED = "external_id_unreplaced"
    COST_UNREADABLE = "cost_unreadable"
    NO_CONVERSIONS = "no_conversions"
    NOTICES_REFUSED = "notices_refused"
    WORDS_NOT_MAPPED = "words_not_mapped"
    STATUS_NEVER_CAME = "status_never_came"
    NOT_DELIVERED = "not_delivered"
    ADDRESS_REFUSED = "address_refused"
    RECEIVER_PAUSED = "receiver_paused"
    RECEIVER_ASKED_TO_WAIT = "receiver_asked_to_wait"
    BACKLOG = "backlog"
    ARCHIVED_RULE_HOLDS = "archived_rule_holds"

    @property
    def meaning(self) -> str:
        """What is found, in general."""
        return _MEANINGS[self]


_MEANINGS = {
    Code.NO_EXTERNAL_ID_PLACEHOLDER: "The row external_id has no placeholder, so the source does not send its click id.",
    Code.PLACEHOLDER_NOT_A_MACRO: "A placeholder does not look like a macro, so every click would bring the same text.",
    Code.OUR_MACRO_AS_PLACEHOLDER: "One of our macros is where a macro of the source or network belongs.",
    Code.LINK_NOT_PUBLIC: "The campaign links lead to an address that the world cannot reach.",
    Code.CAMPAIGN_PAUSED: "The campaign is paused: its visitors go to the fallback address.",
    Code.NO_LIVE_OFFERS: "The campaign has no offer that a visitor could be sent to.",
    Code.OFFER_LEFT_OUT: "An offer of the campaign gets no visitors.",
    Code.OFFER_LOOPS: "An offer's address is one of our own campaign links.",
    Code.NO_FALLBACK: "There is no fallback address for visitors who have nowhere to go.",
    Code.CLICK_ID_NOT_IN_OFFER: "The offer's address does not carry our click id, so no conversion of it can be told from another.",
    Code.CLICK_ID_IN_OTHER_PARAMETER: "Our click id is in another parameter than the one the network expects.",
    Code.OFFER_WITHOUT_NETWORK: "The offer belongs to no network: tokens, addresses and terms of none are looked at.",
    Code.NO_VALUE_YET: "A template uses a macro that has no value there: it is not available yet, or not before there is a conversion.",
    Code.NO_CLICK_ID_IN_NOTICE: "The network's postback URL does not carry our click id.",
    Code.NETWORK_OPEN: "The network has neither a token nor an address list, so anyone who knows a click id can report a conversion.",
    Code.NETWORK_TEST_ONLY: "The network takes only the conversions of test clicks.",
    Code.NO_POSTBACK_URL: "The traffic source has no postback URL, so it learns of no conversion.",
    Code.EXTERNAL_ID_NOT_SENT: "The source's postback does not carry {externalid}, so the source cannot register the conversion.",
    Code.CLICK_ID_INSTEAD_OF_EXTERNAL_ID: "The source's postback carries our click id in place of the source's.",
    Code.PRESET_WORD_LEFT: "A postback URL still holds a placeholder word of the preset that your account's own value must replace.",
    Code.RULE_OFF: "A postback rule is switched off.",
    Code.RULE_PAUSED: "A postback rule is paused since its receiver said 410 Gone.",
    Code.SOURCE_RULES_OFF: "The campaign has switched its source's postback rules off.",
    Code.STATUS_UNKNOWN: "A rule waits for a status that does not exist.",
    Code.STATUS_WITHOUT_WORDS: "A rule waits for a status that no network's word is mapped to.",
    Code.STATUS_NOT_SENT: "A rule waits for statuses, and no network in the chain sends one.",
    Code.SOURCE_MACRO_IN_OURS: "A macro of the traffic source is where one of ours belongs.",
    Code.NETWORK_MACRO_IN_OURS: "A macro of the network is where one of ours belongs.",
    Code.OTHER_STYLE: "A macro of another system is in one of our templates.",
    Code.UNKNOWN_MACRO: "A macro is not known and is left as it is.",
    Code.UNKNOWN_FILTER: "A filter is not known.",
    Code.WRONG_ARGUMENT: "A filter's argument is wrong.",
    Code.ENCODED_BRACES: "A macro's braces are percent-encoded, so it is sent as it is.",
    Code.UNCLOSED_MACRO: "A macro's brace is not closed, so it is sent as it is.",
    Code.STRAY_BRACE: "A brace that belongs to no macro is sent as it is.",
    Code.FULL_WIDTH_BRACES: "Characters that only look like braces surround a name, so it is sent as it is.",
    Code.INVISIBLE_CHARACTER: "An invisible character is in a template and would be sent too.",
    Code.HTML_ENTITY: "An & was copied from HTML as &amp;, which changes the name of the parameter after it.",
    Code.SECOND_QUESTION_MARK: "An address has a second ?, so the parameter after it becomes part of the value before it.",
    Code.QUESTION_MARK_MISSING: "An address has parameters without a ? before them, so they become part of its path.",
    Code.AMPERSAND_MISSING: "A parameter follows a macro without an &, so it becomes part of the macro's value.",
    Code.MACRO_IN_FRAGMENT: "A macro is after the # of an address, which is never sent to a server.",
    Code.MACRO_IN_AUTHORITY: "A macro is in the scheme, user, host or port of an address.",
    Code.ROW_OFF: "A template uses a row of the source whose slider is off.",
    Code.ROW_MISSING: "A template uses a row that the source does not have.",
    Code.ROW_WITHOUT_PLACEHOLDER: "A template uses a row that the campaign link does not carry, because it has no placeholder.",
    Code.EMPTY_MACRO: "A postback rule uses macros that are always empty: those of alarms for conversions, or the reverse.",
    Code.NO_CLICKS: "The campaign has had no clicks.",
    Code.EXTERNAL_ID_EMPTY: "Recent clicks came without the source's click id.",
    Code.EXTERNAL_ID_UNREPLACED: "Recent clicks brought a macro that the source had not replaced in place of its click id.",
    Code.COST_UNREADABLE: "Recent clicks brought a cost that could not be read, which counts as none.",
    Code.NO_CONVERSIONS: "The campaign has clicks and no conversions.",
    Code.NOTICES_REFUSED: "Notices were refused lately.",
    Code.WORDS_NOT_MAPPED: "Networks send status words that no status has.",
    Code.STATUS_NEVER_CAME: "A rule waits for statuses, and no conversion lately had one of them.",
    Code.NOT_DELIVERED: "Postbacks were given up lately.",
    Code.ADDRESS_REFUSED: "Postbacks were skipped lately, because nothing may be sent to their address.",
    Code.RECEIVER_PAUSED: "A receiver is paused, because it failed again and again.",
    Code.RECEIVER_ASKED_TO_WAIT: "A receiver asked us to wait.",
    Code.BACKLOG: "Postbacks should have left a while ago.",
    Code.ARCHIVED_RULE_HOLDS: "An archived rule is paused and goes on holding postbacks.",
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where something was found. ``id`` is 0 where a record has no number; ``field`` is empty for the whole record."""

    kind: Kind
    id: int = 0
    name: str = ""
    field: str = ""

    @property
    def text(self) -> str:
        """The place for people."""
        number = f" {self.id}" if self.id else ""
        name = f" {self.name!r}" if self.name else ""
        field = f", {self.field}" if self.field else ""
        return f"{self.kind.replace('_', ' ')}{number}{name}{field}"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found."""

    severity: Severity
    code: Code
    place: Place
    sentence: str
    remedy: str
    moments: tuple[int, ...] = ()
    """Those that stand in sentence and remedy as ``moment_words``, so that a page can show them in its reader's zone."""


def moment_words(moment: int | str) -> str:
    """A moment (Unix milliseconds, or its ISO text) within a sentence: ``2026-03-01 12:00 UTC``."""
    iso = moment if isinstance(moment, str) else iso_text(moment)
    return f"{iso[:16].replace('T', ' ')} UTC"


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings by severity, each once, otherwise in the order given."""
    order = list(Severity)
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: order.index(finding.severity)))
