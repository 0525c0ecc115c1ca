"""Findings of a check: a severity, a code, the place, a sentence and a remedy."""

import enum
from collections.abc import Sequence

import msgspec

from clickloop.clock import iso_text
from clickloop.explained import Explained
from clickloop.macro import Severity


class CheckPlaceKind(enum.StrEnum):
    """The kind of record that a finding is about."""

    INSTANCE = "instance"
    TRAFFIC_SOURCE = "traffic_source"
    CAMPAIGN = "campaign"
    OFFER = "offer"
    NETWORK = "network"
    POSTBACK_RULE = "postback_rule"
    STATUS = "status"
    RECEIVER = "receiver"
    FLOW = "flow"
    """A shared flow; a campaign's own is a field of the campaign."""
    LANDING = "landing"
    LIST = "list"
    VIEW = "view"


class CheckCode(Explained):
    """Everything that a check can find. A closed list."""

    # From the source to us
    NO_EXTERNAL_ID_PLACEHOLDER = (
        "no_external_id_placeholder",
        "The parameter external_id has no placeholder, so the source does not send its click ID.",
    )
    PLACEHOLDER_NOT_A_MACRO = (
        "placeholder_not_a_macro",
        "A placeholder does not look like a macro, so every click would carry the same text.",
    )
    OUR_MACRO_AS_PLACEHOLDER = (
        "our_macro_as_placeholder",
        "One of our macros is used where a source or network macro belongs.",
    )
    LINK_NOT_PUBLIC = (
        "link_not_public",
        "The campaign links lead to an address that cannot be reached from the internet.",
    )
    CAMPAIGN_PAUSED = "campaign_paused", "The campaign is paused: its visitors go to the fallback URL."
    NO_LIVE_OFFERS = "no_live_offers", "The campaign has no active offer to send visitors to."
    OFFER_LEFT_OUT = "offer_left_out", "One of the campaign's offers gets no visitors."
    OFFER_LOOPS = "offer_loops", "An offer URL is one of our own campaign links."
    NO_FALLBACK = "no_fallback", "No fallback URL is set for visitors who have nowhere to go."
    RULE_FOR_EVERYBODY = (
        "rule_for_everybody",
        "A rule without conditions is above others: it takes everybody, so the rules below get no visitors.",
    )
    RULE_SHADOWED = "rule_shadowed", "A rule gets no visitors, because an earlier rule takes all of them."
    LIST_EMPTY = "list_empty", "A condition compares with an empty list, so its rule takes nobody."
    NOT_IN_EMPTY_LIST = (
        "not_in_empty_list",
        "A condition excludes the entries of an empty list, so it excludes nobody.",
    )
    PATHS_MISSING = "paths_missing", "Visitors go to the fallback URL, because there is no path for them."
    PATH_EMPTY = "path_empty", "A path gets no visitors, because it has no landing or offer to send them to."
    WEIGHTS_ZERO = "weights_zero", "All paths, landings or offers that visitors are split among have the weight 0."
    BUTTONS_WITHOUT_OFFER = (
        "buttons_without_offer",
        "A landing has more buttons than its path has offers, so several buttons lead to the same offer.",
    )
    LANDING_WITHOUT_OFFERS = (
        "landing_without_offers",
        "A path has a landing and no offer, so the landing's buttons lead to the fallback URL.",
    )
    LANDING_LOSES_CLICK_ID = (
        "landing_loses_click_id",
        "A landing's URL does not carry our click ID, so visitors whose browser blocks cookies are lost at its button.",
    )
    PATH_CANNOT_LEARN = "path_cannot_learn", "A path is set to learn its weights, but cannot."
    RULE_ON_MARK_OFF = "rule_on_mark_off", "A rule compares with a mark that is switched off, so no visitor has it."
    MARK_HITS_MANY = "mark_hits_many", "A mark hits so many clicks of a campaign that it says little about them."
    MARK_LIST_USELESS = "mark_list_useless", "A list for marks has no entry that can be compared."
    CAMPAIGN_LOOP = "campaign_loop", "Campaigns lead their visitors to each other in a loop."
    CAMPAIGNS_TOO_DEEP = (
        "campaigns_too_deep",
        "A visitor would pass through more than three further campaigns: the last ones are not reached.",
    )
    CLIENT_REDIRECT_FOR_GOOGLE = (
        "client_redirect_for_google",
        "Visitors from Google Ads are redirected by a page, but Google allows only redirects by the server.",
    )
    # From us to the network
    CLICK_ID_NOT_IN_OFFER = (
        "click_id_not_in_offer",
        "The offer URL does not contain our click ID, so its conversions cannot be matched to clicks.",
    )
    CLICK_ID_IN_OTHER_PARAMETER = (
        "click_id_in_other_parameter",
        "Our click ID is in another parameter than the one the network expects.",
    )
    OFFER_WITHOUT_NETWORK = (
        "offer_without_network",
        "The offer belongs to no network, so no token, address list or conversion window applies.",
    )
    NO_VALUE_YET = (
        "no_value_yet",
        "A landing or offer URL uses a macro that has a value only after a conversion.",
    )
    # From the network to us
    NO_CLICK_ID_IN_NOTICE = "no_click_id_in_notice", "The network's postback URL does not contain our click ID."
    NETWORK_OPEN = (
        "network_open",
        "The network has no token and no list of allowed IP addresses, so anyone who knows a click ID can report a conversion.",
    )
    NETWORK_TEST_ONLY = "network_test_only", "The network accepts conversions for test clicks only."
    # From us to the source and others
    NO_POSTBACK_URL = "no_postback_url", "The traffic source has no postback URL, so it never learns of a conversion."
    EXTERNAL_ID_NOT_SENT = (
        "external_id_not_sent",
        "The source's postback does not contain {externalid}, so the source cannot register the conversion.",
    )
    CLICK_ID_INSTEAD_OF_EXTERNAL_ID = (
        "click_id_instead_of_external_id",
        "The source's postback contains our click ID instead of the source's own.",
    )
    PRESET_WORD_LEFT = (
        "preset_word_left",
        "A postback URL still contains a placeholder from the preset. Replace it with the value from your account.",
    )
    RULE_OFF = "rule_off", "A postback rule is switched off."
    RULE_PAUSED = "rule_paused", "A postback rule is paused because its receiver answered 410 Gone."
    SOURCE_RULES_OFF = "source_rules_off", "The campaign has switched its source's postback rules off."
    STATUS_UNKNOWN = "status_unknown", "A rule waits for a status that does not exist."
    STATUS_WITHOUT_WORDS = "status_without_words", "A rule waits for a status that no network's word is mapped to."
    STATUS_NOT_SENT = "status_not_sent", "A rule waits for statuses, and no network in the chain sends one."
    # In any template
    SOURCE_MACRO_IN_OURS = "source_macro_in_ours", "A traffic source macro is used where one of ours belongs."
    NETWORK_MACRO_IN_OURS = "network_macro_in_ours", "A network macro is used where one of ours belongs."
    OTHER_STYLE = "other_style", "A template uses another system's macro."
    UNKNOWN_MACRO = "unknown_macro", "A macro is unknown and will be sent as text."
    UNKNOWN_FILTER = "unknown_filter", "A filter is unknown."
    WRONG_ARGUMENT = "wrong_argument", "A filter's argument is wrong."
    ENCODED_BRACES = "encoded_braces", "A macro's braces are percent-encoded, so it is sent as text."
    UNCLOSED_MACRO = "unclosed_macro", "A macro's brace is not closed, so it is sent as text."
    STRAY_BRACE = "stray_brace", "A brace that belongs to no macro is sent as text."
    FULL_WIDTH_BRACES = (
        "full_width_braces",
        "Characters that only look like braces surround a name, so it is sent as text.",
    )
    INVISIBLE_CHARACTER = "invisible_character", "An invisible character is in a template and would be sent too."
    HTML_ENTITY = "html_entity", "An & was copied from HTML as &amp;, which changes the name of the parameter after it."
    SECOND_QUESTION_MARK = (
        "second_question_mark",
        "An address has a second ?, so the parameter after it becomes part of the value before it.",
    )
    QUESTION_MARK_MISSING = (
        "question_mark_missing",
        "An address has parameters without a ? before them, so they become part of its path.",
    )
    AMPERSAND_MISSING = (
        "ampersand_missing",
        "A parameter follows a macro without an &, so it becomes part of the macro's value.",
    )
    MACRO_IN_FRAGMENT = "macro_in_fragment", "A macro is after the # of an address, which is never sent to a server."
    MACRO_IN_AUTHORITY = "macro_in_authority", "A macro is in the scheme, user, host or port of an address."
    ROW_OFF = "row_off", "A template uses a source parameter that is not tracked."
    ROW_MISSING = "row_missing", "A template uses a parameter that the source does not have."
    ROW_WITHOUT_PLACEHOLDER = (
        "row_without_placeholder",
        "A template uses a parameter that is missing from the campaign link, because it has no placeholder.",
    )
    EMPTY_MACRO = (
        "empty_macro",
        "A postback rule uses macros that are always empty: those of alarms or views in a conversion rule, or the reverse.",
    )
    VIEW_NOT_SENT = "view_not_sent", "A scheduled view is not sent, because its postback rule is off or archived."
    # From recent traffic
    NO_CLICKS = "no_clicks", "The campaign has had no clicks."
    EXTERNAL_ID_EMPTY = "external_id_empty", "Recent clicks came without the source's click ID."
    EXTERNAL_ID_UNREPLACED = (
        "external_id_unreplaced",
        "Recent clicks came with a macro that the source did not replace, instead of its click ID.",
    )
    COST_UNREADABLE = "cost_unreadable", "Recent clicks came with a cost that could not be read and was ignored."
    NO_CONVERSIONS = "no_conversions", "The campaign has clicks and no conversions."
    NOTICES_REFUSED = "notices_refused", "Incoming postbacks were refused recently."
    WORDS_NOT_MAPPED = "words_not_mapped", "Networks send status words that are not mapped to a status."
    CAP_NEVER_COUNTS = "cap_never_counts", "A cap counts statuses that no conversion has, so it is never reached."
    CAP_WITHOUT_TRAFFIC = "cap_without_traffic", "An offer has a cap, but no visitors are sent to it."
    CAP_OUT_OF_REACH = "cap_out_of_reach", "A cap is so high for its period that the offer never comes near it."
    CAP_ALTERNATIVE_GONE = (
        "cap_alternative_gone",
        "A cap sends visitors to an offer that is archived or does not exist.",
    )
    STATUS_NEVER_CAME = "status_never_came", "A rule waits for statuses that no recent conversion had."
    NOT_DELIVERED = "not_delivered", "Postbacks failed recently."
    ADDRESS_REFUSED = "address_refused", "Postbacks were skipped recently because their address is blocked."
    RECEIVER_PAUSED = "receiver_paused", "A receiver is paused because it kept failing."
    RECEIVER_ASKED_TO_WAIT = "receiver_asked_to_wait", "A receiver asked us to wait."
    BACKLOG = "backlog", "Postbacks are overdue."
    OLD_CLICK_IDS_SERVED = (
        "old_click_ids_served",
        "A landing serves old click IDs: a page cache keeps a copy of it with another visitor's or an earlier click ID.",
    )
    ARCHIVED_RULE_HOLDS = "archived_rule_holds", "An archived rule is paused and still has postbacks on hold."


class CheckPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a finding. ``id`` is 0 if the record has no number; ``field`` is empty for the whole record."""

    kind: CheckPlaceKind
    id: int = 0
    name: str = ""
    field: str = ""

    @property
    def text(self) -> str:
        number = f" {self.id}" if self.id else ""
        name = f" {self.name!r}" if self.name else ""
        field = f", {self.field}" if self.field else ""
        return f"{self.kind.replace('_', ' ')}{number}{name}{field}"


class CheckFinding(msgspec.Struct, frozen=True):
    """A problem found by a check."""

    severity: Severity
    code: CheckCode
    place: CheckPlace
    sentence: str
    remedy: str
    moments: tuple[int, ...] = ()
    """The times that sentence and remedy contain as ``moment_words``, so that a page can show them in the reader's time zone."""


def moment_words(moment: int | str) -> str:
    """Return a time (Unix milliseconds or ISO text) as used within a sentence: ``2026-03-01 12:00 UTC``."""
    iso = moment if isinstance(moment, str) else iso_text(moment)
    return f"{iso[:16].replace('T', ' ')} UTC"


def worst_first(findings: Sequence[CheckFinding]) -> tuple[CheckFinding, ...]:
    """Return the findings without duplicates, by severity, otherwise in the order given."""
    order = list(Severity)
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: order.index(finding.severity)))
