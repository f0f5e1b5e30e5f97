"""The templates in deploy/: what they set exists in the image and among the options."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema_rs
import yaml

from wyoming_qwen3tts.config.sources import load

ROOT = Path(__file__).resolve().parent.parent
UNRAID = ET.parse(ROOT / "deploy" / "unraid" / "wyoming-qwen3tts.xml").getroot()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_unraid_template_sets_options_volumes_and_ports_that_exist() -> None:
    assert (UNRAID.tag, UNRAID.attrib) == ("Container", {"version": "2"})
    variables = {}
    for config in UNRAID.iter("Config"):
        target = config.attrib["Target"]
        if config.attrib["Type"] == "Port":
            assert re.search(rf"^EXPOSE .*\b{target}\b", DOCKERFILE, re.MULTILINE)
        elif config.attrib["Type"] == "Path":
            assert f"\nVOLUME {target}\n" in DOCKERFILE
        else:
            assert config.attrib["Type"] == "Variable"
            variables[target] = config.text or ""
    assert len(variables) == 5
    assert load([], variables).notes == ()  # a note names a variable that is no option
    assert load([], {"WYOMING_QWEN3TTS_NO_SUCH": "1"}).notes != ()
    secret = [config for config in UNRAID.iter("Config") if "KEY" in config.attrib["Target"]]
    assert [config.attrib["Mask"] for config in secret] == ["true"]
    address = UNRAID.findtext("Project")
    assert address is not None
    assert str(UNRAID.findtext("Support")).startswith(address)
    assert f'Repository = "{address}"' in (ROOT / "pyproject.toml").read_text()
    assert "\n# speech\nUSER 10200\n" in DOCKERFILE
    assert "chown 10200 " in str(UNRAID.findtext("Requires"))


def test_the_portainer_stack_is_a_compose_file_with_options_that_exist() -> None:
    text = (ROOT / "deploy" / "portainer" / "compose.yaml").read_text()
    with_gpu = text.replace("    # deploy:", "    deploy:").replace("    #   ", "      ")
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    check = jsonschema_rs.validator_for(schema)
    for content in (text, with_gpu):
        stack = yaml.safe_load(content)
        assert [error.message for error in check.iter_errors(stack)] == []
    assert stack["services"]["speech"]["deploy"]["resources"]["reservations"]["devices"]
    service = stack["services"]["speech"]
    assert "build" not in service
    own = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["cpu"]
    for key in (
        "restart",
        "stop_grace_period",
        "read_only",
        "tmpfs",
        "cap_drop",
        "security_opt",
        "volumes",
        "ports",
    ):
        assert service[key] == own[key], key
    variables = {
        name: re.sub(r"\$\{\w+:[-?].*\}", "", value) for name, value in service["environment"].items()
    }
    variables["WYOMING_QWEN3TTS_API_KEYS"] = "0123456789abcdef"
    assert load([], variables).notes == ()
