"""Every report is what docs/schema says, and says nothing that is not in there."""
import json
import pathlib
import re

import jsonschema
import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((REPO / "docs/schema").glob("*.json"))}


def strict(schema):
    """Keys may be added within a schema; but then the schema has to follow."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {k: strict(v) for k, v in schema.items()}
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


STORE = {f"{name}.json": strict(schema) for name, schema in SCHEMAS.items()}


def check(report):
    schema = STORE[report["report"] + ".json"]
    resolver = jsonschema.RefResolver("", schema, store=STORE)
    jsonschema.Draft7Validator(schema, resolver=resolver).validate(report)
    return report


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])


def test_every_report_has_a_schema_and_every_schema_a_report():
    source = "".join(path.read_text() for path in (REPO / "src/cli").glob("*.c"))
    assert set(re.findall(r'lg_report_new\("([a-z-]+)"\)', source)) - {"greeting"} == set(SCHEMAS) - {"common"}


def test_ps_and_help(lab):
    lab.app("Leak", "workstation")
    for words in (["ps"], ["help"], ["help", "open"], ["help", "dumpheap"], ["ps", "no such name"]):
        for report in lab.linger(*words, "--json").reports():
            check(report)


COMMANDS = ["eeheap", "eeheap -gc", "eeheap -loader", "dumpheap", "dumpheap -stat", "dumpheap -short -gen gen0", "dumpheap -strings",
            "dumpheap -stat -top 3", "dumpheap -top 3", "dumpheap -stat -live", "dumpheap -dead", "gchandles", "gchandles -stat", "finalizequeue", "finalizequeue -stat", "modules", "dumpdomain", "dumpalc", "retained -top 3",
            "retained -by type", "retained -by namespace", "retained -by root", "retained -set System.String"]


@pytest.mark.parametrize("name", ["Roots", "Types"])
def test_commands_about_the_heap(lab, name):
    app = lab.app(name, "workstation")
    for report in lab.reports(app.pid, COMMANDS):
        check(report)


def test_commands_under_server_gc_and_on_a_core(lab):
    for report in lab.reports(lab.core("Leak", "datas"), COMMANDS):
        check(report)


def test_commands_about_an_object(lab):
    app = lab.app("Types", "workstation")
    objects = [o for o in lab.report(app.pid, "dumpheap")["objects"] if o["type"] != "Free"]
    examples = list({o["type"]: o["address"] for o in objects}.values())[:300]
    kinds = {check(report)["report"] for report in lab.reports(app.pid, [f"dumpobj {address}" for address in examples])}
    arrays = [o["address"] for o in objects if o["type"].endswith("]")][:50]
    kinds |= {check(report)["report"] for report in lab.reports(app.pid, [f"dumparray {address}" for address in arrays])}
    kinds |= {check(report)["report"] for report in lab.reports(app.pid, [f"gcroot {address}" for address in examples[::10]])}
    assert kinds == {"dumpobj", "dumparray", "gcroot"}
