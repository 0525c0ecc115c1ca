"""Rules for scheduled views: postback rules of the whole instance whose trigger is a view, not a conversion."""

from collections.abc import Mapping

VIEW_MACROS = frozenset({"view", "view.csv", "view.file", "view.remark"})
FILLED_FOR_VIEWS = VIEW_MACROS | {"postback_id", "rule.name", "domain", "now"}


def view_values(
    *, postback_id: str, name: str, csv: str, file: str, remark: str, rule_name: str, domain: str
) -> Mapping[str, str]:
    """Return the macro values of a view. All other macros are empty."""
    return {
        "view": name,
        "view.csv": csv,
        "view.file": file,
        "view.remark": remark,
        "postback_id": postback_id,
        "rule.name": rule_name,
        "domain": domain,
    }
