"""The presets of postback rules: each can be filled in and saved, and recognizes success and failure in responses."""

import msgspec
import pytest

from clickloop.macro import EncodingContext, check
from clickloop.postback.checking import check_rule
from clickloop.postback.masking import MASK, masked_request
from clickloop.postback.retry import AttemptOutcome, fault_of
from clickloop.postback.rule import PostbackRule, RequestTemplate
from clickloop.postback.rule_preset import FillFault, RulePreset, request_of_preset, rule_presets
from clickloop.postback.values import ready_request

PRESETS = tuple(rule_presets().values())
each_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)


def filled(preset: RulePreset, **given: str) -> RequestTemplate:
    request = request_of_preset(preset, {fill.name: fill.example for fill in preset.fill} | given)
    assert isinstance(request, RequestTemplate)
    return request


def test_the_messengers_and_a_webhook_exist() -> None:
    assert [preset.key for preset in PRESETS] == ["telegram", "slack", "discord", "webhook"]


@each_preset
def test_filled_in_with_its_examples_a_preset_can_be_saved(preset: RulePreset) -> None:
    rule = PostbackRule(rule_id=0, name=preset.name, request=filled(preset), success=preset.success)
    assert check_rule(rule, ("sale",)) == ()


@each_preset
def test_a_preset_only_uses_known_macros_and_needs_no_external_id(preset: RulePreset) -> None:
    request = filled(preset)
    assert check(request.url) == check(request.body, context=EncodingContext.JSON) == ()
    assert not ready_request(request).uses_external_id


@each_preset
def test_nothing_that_is_secret_is_shown(preset: RulePreset) -> None:
    request = filled(preset)
    shown = msgspec.json.encode(masked_request(request)).decode()
    for secret in request.secrets:
        assert secret not in shown
    assert (MASK in shown) == bool(request.secrets)


@each_preset
def test_a_required_placeholder_is_requested_and_an_unknown_one_refused(preset: RulePreset) -> None:
    wrong = request_of_preset(preset, {"none_such": "x"})
    assert isinstance(wrong, tuple)
    assert {(fault.name, fault.fault) for fault in wrong} == {("none_such", FillFault.UNKNOWN)} | {
        (fill.name, FillFault.MISSING) for fill in preset.fill if fill.default is None
    }


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("telegram", "bot_token", "110201543"),
        ("telegram", "bot_token", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/../x"),
        ("telegram", "chat_id", '1", "text": "x'),
        ("telegram", "api_url", "https://api.telegram.org/"),
        ("slack", "webhook_url", "https://hooks.slack.com"),
        ("discord", "webhook_url", "javascript:alert(1)"),
        ("webhook", "authorization", "Bearer x\r\nX-Y: z"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_repeating_it(key: str, name: str, value: str) -> None:
    preset = rule_presets()[key]
    wrong = request_of_preset(preset, {fill.name: fill.example for fill in preset.fill} | {name: value})
    assert isinstance(wrong, tuple)
    assert [(fault.name, fault.fault) for fault in wrong] == [(name, FillFault.UNFIT)]
    assert value not in wrong[0].sentence or value in preset.fill[0].example


def test_a_webhook_without_authorization_sends_no_such_header() -> None:
    assert filled(rule_presets()["webhook"], authorization="").headers == ()


def test_a_self_hosted_bot_api_server_can_replace_telegrams() -> None:
    request = filled(rule_presets()["telegram"], api_url="http://127.0.0.1:9000")
    assert request.url == "http://127.0.0.1:9000/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage"


@pytest.mark.parametrize(
    ("key", "answer", "delivered"),
    [
        ("telegram", b'{"ok":true,"result":{"message_id":1}}', True),
        ("telegram", b'{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}', False),
        ("telegram", b"<html>Welcome</html>", False),
        ("slack", b"ok", True),
        ("slack", b"no_service", False),
        ("slack", b"invalid_token", False),
        ("discord", b"", True),
        ("webhook", b"", True),
    ],
)
def test_a_200_means_what_the_receiver_says(key: str, answer: bytes, delivered: bool) -> None:
    fault = fault_of(AttemptOutcome(status_code=200, answer=answer), rule_presets()[key].success)
    assert (fault is None) == delivered
