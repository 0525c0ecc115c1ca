"""Records filled in from presets."""

from collections.abc import Mapping
from typing import TypeVar

from clickloop.postback.rule import Conditions, PostbackRule, Trigger
from clickloop.postback.rule_preset import FillFault, request_of_preset, rule_presets
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.network import NETWORK_URL, Network
from clickloop.setup.preset.preset import NetworkPreset, SourcePreset, network_presets, source_presets
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, RowInput

P = TypeVar("P")


def source_preset_of(key: str) -> SourcePreset:
    """Return the source preset with that key. Raise InvalidInputError for the field ``preset``."""
    return _found(source_presets(), key, "/presets/traffic-sources")


def rows_of_preset(preset: SourcePreset) -> list[RowInput]:
    """Return the parameters of a source made from the preset."""
    rows = [
        RowInput(EXTERNAL_ID, placeholder=preset.external_id, name="External ID"),
        RowInput(COST, placeholder=preset.cost, name="Cost"),
    ]
    return rows + [
        RowInput(row.parameter, row.placeholder, row.name, number=number) for number, row in enumerate(preset.rows, 1)
    ]


def network_preset_of(key: str) -> NetworkPreset:
    """Return the network preset with that key. Raise InvalidInputError for the field ``preset``."""
    return _found(network_presets(), key, "/presets/networks")


def network_of_preset(key: str) -> Network:
    """Return a network made from the preset with that key. Raise InvalidInputError for the field ``preset``."""
    preset = network_preset_of(key)
    addition = preset.offer_url_addition()
    return Network(
        name=preset.name,
        preset=preset.key,
        click_id_parameter=preset.click_id_parameter,
        offer_url_template=f"{NETWORK_URL}&{addition}" if addition else "",
        postback_parameters=dict(preset.postback),
        status_words=dict(preset.status_words),
    )


def rule_of_preset(key: str, fill: Mapping[str, str], *, for_alarms: bool = False) -> PostbackRule:
    """Return a rule made from the preset with that key, for conversions or for alarms, with ``fill`` filled in.

    Raise InvalidInputError for the fields ``preset`` or ``fill.…``.
    """
    preset = _found(rule_presets(), key, "/presets/postback-rules")
    request = request_of_preset(preset, fill, for_alarms=for_alarms)
    if isinstance(request, tuple):
        raise InvalidInputError(
            tuple(FieldFault(f"fill.{wrong.name}", _FILL_CODES[wrong.fault], wrong.sentence) for wrong in request)
        )
    conditions = Conditions(trigger=Trigger.ALARM) if for_alarms else Conditions()
    return PostbackRule(rule_id=0, name=preset.name, request=request, conditions=conditions, success=preset.success)


_FILL_CODES = {
    FillFault.MISSING: FaultCode.REQUIRED,
    FillFault.UNKNOWN: FaultCode.UNKNOWN_FIELD,
    FillFault.UNFIT: FaultCode.NOT_ALLOWED,
}


def _found(presets: Mapping[str, P], key: str, path: str) -> P:
    preset = presets.get(key)
    if preset is None:
        sentence = f"There is no preset {key[:50]!r}. GET {path} lists them."
        raise InvalidInputError((FieldFault("preset", FaultCode.NOT_FOUND, sentence),))
    return preset
