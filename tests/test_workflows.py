"""The workflows in .github, the issue forms and pre-commit, as far as they can be checked without GitHub."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yaml")
}
WRITE = {
    ("release", "images"): {"packages", "id-token"},
    ("release", "pypi"): {"id-token"},
    ("docs", "publish"): {"pages", "id-token"},
}
"""What a job may write. No other job may write anything."""


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for workflow, content in WORKFLOWS.items():
        for name, job in content["jobs"].items():
            yield workflow, name, job


def actionlint(directory: Path) -> subprocess.CompletedProcess[str]:
    """``-shellcheck=``: the same on a machine that has shellcheck and on one that has not."""
    program = Path(sys.executable).with_name("actionlint")
    return subprocess.run([program, "-shellcheck="], cwd=directory, capture_output=True, text=True)


def test_actionlint_finds_nothing() -> None:
    done = actionlint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("timeout-minutes: 5", "timeout-minuts: 5", "timeout-minuts"),
        ("${{ matrix.target }}", "${{ matrix.tarjet }}", "tarjet"),
        ("needs: check", "needs: chekc", "chekc"),
    ],
)
def test_actionlint_finds_a_mistake(tmp_path: Path, right: str, wrong: str, found: str) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    path = tmp_path / ".github" / "workflows" / "release.yaml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    done = actionlint(tmp_path)
    assert done.returncode == 1
    assert found in done.stdout


def test_tests_run_on_every_python_that_the_package_names() -> None:
    named = [each.rpartition(" :: ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
    assert WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]["python"] == named


def test_the_images_that_are_built_and_published_are_those_of_the_dockerfile() -> None:
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    wanted = set(stages) - {"base"}
    assert wanted == {"cpu", "cuda", "app"}
    for workflow, job in (("images", "build"), ("release", "images")):
        found = WORKFLOWS[workflow]["jobs"][job]
        assert set(found["strategy"]["matrix"]["target"]) == wanted
        (build,) = [step["with"] for step in found["steps"] if "build-push" in step.get("uses", "")]
        assert build["platforms"] == "linux/amd64,linux/arm64"
        assert build["push"] is (workflow == "release")
    arguments = re.findall(r"^ARG (BUILD_\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.findall(r"^(\w+)=", build["build-args"], re.MULTILINE) == arguments


def test_the_published_images_are_those_that_the_app_and_the_templates_name() -> None:
    owner, name = PROJECT["urls"]["Repository"].removeprefix("https://github.com/").lower().split("/")
    named = set()
    for path in (
        "config.yaml",
        "SECURITY.md",
        "deploy/unraid/wyoming-qwen3tts.xml",
        "deploy/portainer/compose.yaml",
    ):
        named |= set(re.findall(r"ghcr\.io/[\w/-]+", (ROOT / path).read_text()))
    assert named == {f"ghcr.io/{owner}/{name}-{target}" for target in ("cpu", "cuda", "app")}


def test_a_job_may_write_only_what_it_has_to() -> None:
    for workflow, name, job in jobs():
        assert WORKFLOWS[workflow]["permissions"] == {}
        writes = {scope for scope, right in job.get("permissions", {}).items() if right == "write"}
        assert writes == WRITE.get((workflow, name), set()), f"{workflow}: {name}"
        assert "uses" in job or 0 < job["timeout-minutes"] <= 120
    assert all("concurrency" in workflow for workflow in WORKFLOWS.values())


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    release = WORKFLOWS["release"]["jobs"]
    assert release["test"]["uses"] == "./.github/workflows/test.yaml"
    assert release["test"]["needs"] == "check"
    assert release["images"]["needs"] == release["wheel"]["needs"] == "test"
    assert set(release["pypi"]["needs"]) == {"wheel", "images"}
    assert WORKFLOWS["release"][True] == {"push": {"tags": ["v*"]}}  # "on" is a boolean of YAML 1.1


def test_every_action_has_a_version() -> None:
    used = [step["uses"] for *_, job in jobs() for step in job.get("steps", ()) if "uses" in step]
    assert len(used) > 10
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+\.\d+)?|release/v1)", action), action


def test_every_file_that_a_workflow_names_is_there() -> None:
    text = "".join(path.read_text() for path in (ROOT / ".github").rglob("*.y*ml"))
    scripts = set(re.findall(r"\bscript/\w+", text))
    assert {"script/lint", "script/test", "script/package", "script/docs"} <= scripts
    paths = (
        scripts
        | set(re.findall(r"\./(\.github/[\w/.-]+)", text))
        | set(re.findall(r"hashFiles\('(.+?)'\)", text))
    )
    paths |= {path.removesuffix("/**") for path in WORKFLOWS["images"][True]["pull_request"]["paths"]}
    for path in paths:
        assert (ROOT / path).exists(), path
    steps = [step.get("run") for step in WORKFLOWS["test"]["jobs"]["test"]["steps"]]
    assert [step for step in steps if step in (ROOT / ".ci" / "run").read_text().splitlines()] == [
        "script/lint",
        "script/test",
    ]


def test_issue_forms_have_what_github_asks_for() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        if path.stem == "config":
            assert set(form) == {"blank_issues_enabled", "contact_links"}
            assert all(set(link) == {"name", "url", "about"} for link in form["contact_links"])
            continue
        assert {"name", "description", "body"} <= set(form)
        names = [field["id"] for field in form["body"]]
        assert len(set(names)) == len(names)
        for field in form["body"]:
            assert field["type"] in {"textarea", "input", "dropdown"}
            assert field["attributes"]["label"]
            assert ("options" in field["attributes"]) == (field["type"] == "dropdown")


def test_pre_commit_runs_what_lint_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    lint = (ROOT / "script" / "lint").read_text()
    for hook in repository["hooks"]:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert f'"{Path(program).name}"' in lint
        assert Path(sys.executable).with_name(Path(program).name).exists(), program
        assert hook["language"] == "system"
    (files,) = [hook["files"] for hook in repository["hooks"] if "files" in hook]
    assert re.search(files, ".github/workflows/test.yaml")
