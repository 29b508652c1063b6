"""A profile whose settings somebody has corrected: every place that stands on a setting follows it. Pure.

In a contract `x-setting: {maxLength: A18.max_length}` takes a keyword's value from a setting (a list is added to what
stands there), and an entity's `path: "@A6.order"` is read from one, so that nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from connectors.kinds import KindError, did_you_mean, fit, parse_kind

if TYPE_CHECKING:
    from connectors.profiles import SystemProfile


class SettingError(ValueError):
    """A correction that does not fit.

    Attributes:
        key: The setting, with the member that is to blame: `A7.size`.
        expected: What was expected, in words, with the nearest known name where one comes near.
    """

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(f"{key}: expected {expected}")
        self.key = key
        self.expected = expected


def corrected(profile: SystemProfile, values: Mapping[str, Any], *, origin: str = "given") -> SystemProfile:
    """A copy with other values for some settings, and with contracts and paths that follow them.

    Args:
        values: By name; of an object setting only the members that differ.
        origin: Where the values come from, for people.

    Raises:
        SettingError: Unknown setting, one that belongs to another profile, or a value that does not fit.
    """
    settings = dict(profile.settings)
    for name, value in values.items():
        known = settings.get(name)
        if known is None:
            near = did_you_mean(name, settings) or f" ({len(settings)} are known; see mapper systems show)"
            raise SettingError(name, f"a setting of {profile.system}{near}")
        if known.elsewhere:
            raise SettingError(name, f"this under [systems.{known.elsewhere}.settings], it says nothing here")
        try:
            fitted = fit(parse_kind(known.type), value, now=known.value)
        except KindError as error:
            raise SettingError(".".join(filter(None, (name, error.member))), error.expected) from None
        settings[name] = known.model_copy(update={"value": fitted, "origin": origin})
    return follow(profile.model_copy(update={"settings": settings}))


def follow(profile: SystemProfile) -> SystemProfile:
    """Contracts and entity paths as the settings have them."""
    values = {name: setting.value for name, setting in profile.settings.items()}
    entities = {}
    for name, entity in profile.entities.items():
        own = entity.templates or {"path": entity.path, "list_key": entity.list_key}
        entities[name] = entity.model_copy(
            update={
                **{key: str(_look_up(text[1:], values)) if text.startswith("@") else text for key, text in own.items()},
                "templates": own,
                "contract": _followed(entity.contract, values),
            }
        )
    return profile.model_copy(update={"entities": entities})


def _followed(schema: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_followed(item, values) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _followed(item, values) for key, item in schema.items()}
    wanted = schema.get("x-setting")
    if isinstance(wanted, dict):
        for keyword, reference in wanted.items():
            found = _look_up(str(reference), values)
            base = schema.get("x-always", [])
            out[keyword] = [*base, *found] if isinstance(found, list) else found
    return out


def _look_up(reference: str, values: Mapping[str, Any]) -> Any:
    name, _, member = reference.partition(".")
    if name not in values:
        raise ValueError(f"refers to the setting {name}, which the profile does not have")
    return values[name][member] if member else values[name]
