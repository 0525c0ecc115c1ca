"""The shared flow: a named flow that several campaigns use."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from clickloop.setup.fault import FieldFault
from clickloop.setup.flow import FlowParts, Path, Rule, flow_faults
from clickloop.setup.record import OneLine, RecordFields, Tags, line_faults, with_changes
from clickloop.setup.tags import clean_tags, tag_faults

Name = Annotated[str, OneLine(200, required=True), Meta(description="Flow name.", examples=["US mobile"])]
Rules = Annotated[
    tuple[Rule, ...],
    Meta(description="Rules in order. Send their ids back; a rule without an id is new."),
]
DefaultPaths = Annotated[
    tuple[Path, ...],
    Meta(description="Paths of visitors that no rule takes. Send their ids back; a path without an id is new."),
]


class SharedFlowFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a shared flow's record and view have in common."""

    name: Name
    tags: Tags = ()


class SharedFlow(SharedFlowFields, frozen=True, kw_only=True):
    """A shared flow."""

    parts: FlowParts = FlowParts()
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class SharedFlowChange(msgspec.Struct, kw_only=True):
    """Changes of a shared flow. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET
    default_paths: DefaultPaths | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class NewSharedFlow(SharedFlowChange, kw_only=True):
    """A shared flow to create."""

    name: Name


def changed_flow(flow: SharedFlow, change: SharedFlowChange) -> SharedFlow:
    """Return the flow with a change."""
    parts = flow.parts
    if change.rules is not UNSET:
        parts = replace(parts, rules=change.rules)
    if change.default_paths is not UNSET:
        parts = replace(parts, default_paths=change.default_paths)
    others: dict[str, object] = {"parts": parts}
    if change.tags is not UNSET:
        others["tags"] = clean_tags(change.tags)
    return with_changes(flow, change, **others)


def shared_flow_faults(flow: SharedFlow) -> list[FieldFault]:
    """Return everything wrong with a flow, except references to missing records and loops of campaigns."""
    return line_faults(flow) + tag_faults(flow.tags) + flow_faults(flow.parts)
