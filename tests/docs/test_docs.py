"""Holds what is written about linger against what `linger help` says."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINGER = os.environ["LINGER"]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def output(*words):
    return subprocess.run([LINGER, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


COMMANDS = [row["command"] for row in json.loads(output("help", "--json"))["commands"]]


def code(text):
    """What stands in fences of a page."""
    return "\n".join(re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_that_agrees_with_its_help(name):
    page = ROOT / "docs/commands" / f"{name}.md"
    assert page.exists(), f"docs/commands/{name}.md is missing"
    text = page.read_text()
    usage = re.search(r"^usage: (.*)$", output("help", name), re.MULTILINE)[1]
    assert f"usage: {usage}\n" in code(text)
    assert re.search(r"^(\$|linger>) ", code(text), re.MULTILINE), "no example"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_in_the_manual(name):
    assert re.search(rf"^\| \[`{name}\b.*\]\(docs/commands/{name}\.md\)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert re.search(rf"^\.It Cm {name}\b", (ROOT / "man/linger.1").read_text(), re.MULTILINE)


def test_there_is_no_page_without_a_command():
    assert {page.stem for page in (ROOT / "docs/commands").glob("*.md")} <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"`[^`]*`", "", page.read_text())):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


def test_the_manual_is_well_formed():
    lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(ROOT / "man/linger.1")], stdout=subprocess.PIPE, text=True)
    assert lint.returncode == 0, lint.stdout


def test_the_version_is_told_alike():
    version = output("--version").split()[1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
