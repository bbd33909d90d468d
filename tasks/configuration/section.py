"""What all sections share: they are immutable, and some fields do not enter the keys of stages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

# Marks a field that no stage's result depends on: it says when checkpoints are written, or where
# a file lies whose contents are digested besides.
ASIDE: dict[str, JsonValue] = {"in_key": False}


def aside(section: type[BaseModel]) -> set[str]:
    """The fields of a section that are left out of the keys of stages."""
    return {
        name
        for name, field in section.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("in_key") is False
    }


def _in_order(schema: dict[str, JsonValue]) -> None:
    """Number the fields: Prefect's form goes by that, since its database sorts the names by length."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for position, field in enumerate(properties.values()):
            if isinstance(field, dict):
                field["position"] = position


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_in_order)
