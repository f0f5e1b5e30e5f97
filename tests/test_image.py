"""The images, as far as that goes without Docker: the files are checked, and the steps of the small one run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests import dockerfile
from tests.dockerfile import Build, Stage, Step
from tests.house import HANG, connect, home_assistant_plain
from tests.web import free_port
from wyoming_qwen3tts import __version__
from wyoming_qwen3tts.config.settings import OPTIONS
from wyoming_qwen3tts.config.sources import load

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text()
BEFORE, STAGES = dockerfile.parse(TEXT)
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SPEAKERS = ("cpu", "nvidia", "socket", "front", "lan")
PRUDENT = ("cpu", "nvidia", "socket", "front", "lan", "prometheus", "grafana")


def all_of(stage: str, name: str) -> list[Step]:
    """Return a stage's instructions of a name, with those of the stages it stands on."""
    return [step for each in dockerfile.lineage(STAGES, stage) for step in each.all(name)]


# -- Dockerfile ----------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(TEXT.replace("--no-install-recommends ", ""))
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, wrong], cwd=ROOT, capture_output=True, text=True)
    assert "DL3015" in done.stdout


def test_there_are_three_images_and_the_app_is_built_when_nothing_else_is_asked_for() -> None:
    assert [stage.name for stage in STAGES] == ["build-cpu", "build-cuda", "base", "cuda", "cpu", "app"]


def test_the_base_is_one_tag_that_can_be_pinned_to_a_digest() -> None:
    (argument,) = BEFORE
    tag = argument.text.removeprefix("PYTHON=")
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", tag)
    names = {stage.name for stage in STAGES}
    assert {stage.base for stage in STAGES} - names == {"${PYTHON}"}
    minor = int(tag.split(".")[1].split("-")[0])
    assert f"Python :: 3.{minor}" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(("stage", "user"), [("cpu", "10200"), ("cuda", "10200"), ("app", "0")])
def test_who_speaks_is_nobody_in_particular(stage: str, user: str) -> None:
    assert all_of(stage, "USER")[-1].text == user
    made = next(step.text for step in all_of(stage, "RUN") if "useradd" in step.text)
    assert "--uid 10200 speech" in made


@pytest.mark.parametrize("stage", ["cpu", "cuda", "app"])
def test_an_image_has_a_health_check_an_init_and_no_build_tools(stage: str) -> None:
    (health,) = all_of(stage, "HEALTHCHECK")
    assert health.text.endswith('CMD ["wyoming-qwen3tts", "health"]')
    (entry,) = all_of(stage, "ENTRYPOINT")
    assert entry.words == ["tini", "--", "python3", "/opt/entrypoint.py"]
    assert "tini" in " ".join(step.text for step in all_of(stage, "RUN"))
    installed = " ".join(step.text for step in all_of(stage, "RUN"))
    assert not re.search(r"\b(gcc|g\+\+|build-essential|make|git|curl|sudo|pip)\b", installed)
    (copied,) = [step.words for step in all_of(stage, "COPY") if step.words[0].startswith("--from")]
    assert copied[1:] == ["/opt/speech", "/opt/speech"]
    assert all_of(stage, "VOLUME")[0].text == "/data"


def test_every_step_leaves_no_cache_behind_and_adds_nothing_from_elsewhere() -> None:
    for stage in STAGES:
        assert not stage.all("ADD")
        for step in stage.all("RUN"):
            for command in step.text.split("&&"):
                if "pip" in command and " install " in command:
                    assert {"--no-cache-dir", "--constraint"} <= set(command.split()), command
                if "apt-get install" in command:
                    assert "--no-install-recommends" in command
                    assert "rm -rf /var/lib/apt/lists/*" in step.text


def test_torch_is_installed_first_and_qwen_tts_alone() -> None:
    (stage,) = [stage for stage in STAGES if stage.name == "build-cuda"]
    pips = re.findall(
        r"install --no-cache-dir --constraint constraints\.txt ([^&]+)", " && ".join(_runs(stage))
    )
    assert [each.split()[0] for each in pips] == ["torch", "--requirement", "--no-deps"]
    assert pips[1].split()[1] == "requirements-qwen.txt"
    assert "qwen-tts" in pips[2]


def _runs(stage: Stage) -> list[str]:
    return [step.text for step in stage.all("RUN")]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for stage in STAGES:
        for step in stage.all("COPY"):
            *sources, _ = step.words
            if not sources[0].startswith("--from"):
                for source in sources:
                    assert (ROOT / source).exists(), source
                    assert f"!{source}" in ignored, source


def test_what_is_written_goes_to_the_one_volume() -> None:
    for stage in ("cpu", "cuda"):
        variables = dict(word.split("=", 1) for step in all_of(stage, "ENV") for word in step.words)
        for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "WYOMING_QWEN3TTS_DATA_DIR"):
            assert variables[name].startswith("/data"), name
        for name in variables:
            if name.startswith("WYOMING_QWEN3TTS_"):
                assert name.removeprefix("WYOMING_QWEN3TTS_").lower() in OPTIONS
    assert "expandable_segments:True" in str(all_of("cuda", "ENV"))


def test_the_app_s_image_says_what_it_is() -> None:
    (label,) = all_of("app", "LABEL")
    assert [word.split("=")[0] for word in label.words] == ["io.hass.type", "io.hass.version", "io.hass.arch"]
    arguments = dict(step.text.split("=") for step in all_of("app", "ARG"))
    assert arguments["BUILD_VERSION"] == __version__
    assert set(arguments) == {"BUILD_VERSION", "BUILD_ARCH"}


# -- the small image, built and run --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The cpu image laid out in a directory, and its variables."""
    place = tmp_path_factory.mktemp("image")
    dockerfile.context(ROOT, (ROOT / ".dockerignore").read_text(), place / "context")
    build = Build(STAGES, place / "context", place)
    try:
        variables = build.build("cpu")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd[-1]}: {error.stderr[-2000:]}")
    root = build.root("cpu")
    shutil.rmtree(build.root("build-cpu"))  # nothing may need it
    yield root, variables
    shutil.rmtree(place)


@pytest.mark.xdist_group("image")
def test_nothing_of_pip_or_of_c_is_left_in_the_image(built: tuple[Path, dict[str, str]]) -> None:
    root, _ = built
    assert not list(root.rglob("pip/__init__.py"))
    assert not [path for path in root.rglob("*.[ch]") if path.is_file()]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(canonical(line).split("==") for line in lines if "==" in line)
    found = [path.name.removesuffix(".dist-info").rsplit("-", 1) for path in root.rglob("*.dist-info")]
    assert len(found) > 20
    for name, version in found:
        if canonical(name) != "wyoming-qwen3tts":
            assert pinned[canonical(name)] == version


def canonical(name: str) -> str:
    """Return a package's name as the index spells it; a version after ``==`` stays as it is."""
    name, equals, version = name.partition("==")
    return re.sub(r"[-_.]+", "-", name).lower() + equals + version


@pytest.mark.xdist_group("image")
async def test_the_image_speaks_from_a_root_that_cannot_be_written_to(
    built: tuple[Path, dict[str, str]],
) -> None:
    root, variables = built
    temporary = root.parent / "tmp"
    temporary.mkdir()
    (root / "data").chmod(0o755)
    port, http = free_port(), free_port()
    variables |= {
        "TMPDIR": str(temporary),
        "WYOMING_QWEN3TTS_URI": f"tcp://127.0.0.1:{port}",
        "WYOMING_QWEN3TTS_HTTP_PORT": str(http),
        "WYOMING_QWEN3TTS_API_KEYS": "0123456789abcdef",
    }
    (entry,) = all_of("cpu", "ENTRYPOINT")
    command = [str(root / word[1:]) if word.startswith("/opt") else word for word in entry.words]
    command = command if shutil.which("tini") else command[2:]
    # Root may write anywhere: without this right the modes count for it, too.
    bound = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    await run("chmod", "-R", "a-w", root / "opt")
    try:
        tried = await run(*bound, "touch", root / "opt" / "new")
        assert "Permission denied" in tried.stderr
        process = await asyncio.create_subprocess_exec(
            *bound, *command, env=variables, cwd=root, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        log: list[str] = []
        try:
            async with asyncio.timeout(HANG):
                while "Ready in" not in (log or [""])[-1]:
                    line = (await process.stderr.readline()).decode()
                    assert line, "".join(log)
                    log.append(line)
            async with connect(f"tcp://127.0.0.1:{port}") as client:
                sound = await home_assistant_plain(client, "The image speaks.")
                german = await home_assistant_plain(client, "Guten Tag.", {"name": "espeak-de"})
            assert len(sound) > 24_000
            assert len(german) > 12_000
            (health,) = all_of("cpu", "HEALTHCHECK")
            check = json.loads(health.text.partition("CMD ")[2])
            healthy = await run(*check, env=variables)
            assert healthy.stdout.startswith("ok: "), healthy.stderr
        finally:
            process.send_signal(signal.SIGTERM)
            rest = (await process.stderr.read()).decode()
            status = await asyncio.wait_for(process.wait(), HANG)
        assert status == 0, rest
        said = "".join(log) + rest
        assert "WARNING" not in said, said
    finally:
        await run("chmod", "-R", "u+w", root / "opt")
    assert list((root / "data").iterdir())


async def run(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True)


def test_a_step_that_is_broken_is_found(tmp_path: Path) -> None:
    """The build above is no formality: a file that is not copied, or a command that fails, ends it."""
    (stage,) = [stage for stage in STAGES if stage.name == "build-cpu"]
    without = [step for step in stage.steps if step.name != "COPY"]
    (tmp_path / "context").mkdir()
    build = Build([Stage("build-cpu", "", without)], tmp_path / "context", tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        build.build("build-cpu")
    assert "constraints.txt" in failed.value.stderr
    with pytest.raises(FileNotFoundError):
        Build([Stage("x", "", [Step("COPY", "missing ./")])], tmp_path / "context", tmp_path).build("x")
    with pytest.raises(subprocess.CalledProcessError):
        Build([Stage("y", "", [Step("RUN", "true && false && true")])], tmp_path, tmp_path).build("y")


# -- the entry point -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entrypoint", ROOT / "docker" / "entrypoint.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "350000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "nonsense\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({}, None),
    ],
)
def test_threads_are_as_many_as_the_container_may_use(
    files: dict[str, str], expected: int | None, tmp_path: Path, entrypoint: ModuleType
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert entrypoint.allowed_threads(tmp_path) == expected


def start(place: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start the entry point with a script in the service's place."""
    service = place / "bin" / "wyoming-qwen3tts"
    service.parent.mkdir(exist_ok=True)
    service.write_text(f"#!/bin/sh\n{script}\n")
    service.chmod(0o755)
    path = f"{service.parent}:{os.environ['PATH']}"
    entry = [sys.executable, str(ROOT / "docker" / "entrypoint.py"), *arguments]
    return subprocess.run(
        entry, env={"PATH": path, **variables}, capture_output=True, text=True, timeout=HANG
    )


def test_the_entry_point_becomes_the_service_with_its_arguments_and_status(tmp_path: Path) -> None:
    done = start(tmp_path, 'echo "$@"; exit 75', "--voice", "a b", SPEECH_USER=_me())
    assert (done.stdout, done.returncode) == ("--voice a b\n", 75)


def test_threads_that_were_chosen_stay_chosen(tmp_path: Path) -> None:
    done = start(tmp_path, 'echo "$OMP_NUM_THREADS"', OMP_NUM_THREADS="7", SPEECH_USER=_me())
    assert done.stdout == "7\n"


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_root_hands_the_data_over_and_is_given_up(open_place: Path) -> None:
    data = open_place / "data"
    (data / "voices").mkdir(parents=True)
    options = data / "options.json"
    options.write_text('{"voice": "heart"}')
    options.chmod(0o600)
    outside = open_place / "outside"
    outside.write_text("root's own")
    (data / "voices" / "link").symlink_to(outside)
    script = f'id -un; cat "{options}"; touch "{data}/new" && echo written'
    done = start(open_place, script, SPEECH_USER="nobody", WYOMING_QWEN3TTS_DATA_DIR=str(data))
    assert done.stdout == 'nobody\n{"voice": "heart"}written\n'
    assert done.stderr == ""
    assert outside.stat().st_uid == 0


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that other users can look into: those of the tests are for their owner alone."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be kept")
def test_where_root_cannot_be_given_up_the_service_starts_all_the_same(tmp_path: Path) -> None:
    done = start(tmp_path, "id -u", SPEECH_USER="no-such-user")
    assert (done.stdout, done.returncode) == ("0\n", 0)
    assert "there is no user 'no-such-user'" in done.stderr


@pytest.mark.parametrize(
    ("nvidia_smi", "expected"),
    [
        ('echo "$@" >> "$ASKED"', ""),
        ('echo "no permission" >&2; exit 4', "status 4: no permission"),
        (None, "No such file or directory"),
    ],
)
def test_the_gpu_is_settled_only_when_asked_and_never_stops_the_start(
    nvidia_smi: str | None, expected: str, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    if nvidia_smi is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
        (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
    elif shutil.which("nvidia-smi"):
        pytest.skip("there is one")
    common = {"ASKED": str(asked), "SPEECH_USER": _me()}
    assert start(tmp_path, "echo up", **common, SPEECH_GPU_PERSISTENCE="0").stderr == ""
    assert not asked.exists()
    done = start(tmp_path, "echo up", **common, SPEECH_GPU_PERSISTENCE="1", SPEECH_GPU_CLOCKS="1200,1800")
    assert (done.stdout, done.returncode) == ("up\n", 0)
    assert expected in done.stderr
    if asked.exists():
        assert asked.read_text() == "--persistence-mode=1\n--lock-gpu-clocks=1200,1800\n"


# -- compose.yaml --------------------------------------------------------------------------------------------


def test_compose_is_as_the_specification_s_schema_says() -> None:
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    check = jsonschema_rs.validator_for(schema)
    assert [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in check.iter_errors(COMPOSE)] == []
    wrong = {**COMPOSE, "services": {"cpu": {**COMPOSE["services"]["cpu"], "restrat": "always"}}}
    assert not check.is_valid(wrong)


def test_every_service_is_asked_for_by_name() -> None:
    services = COMPOSE["services"]
    assert set(services) == set(PRUDENT)
    for name, service in services.items():
        assert service["profiles"] == (["monitoring"] if name in {"prometheus", "grafana"} else [name])
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SPEAKERS)
def test_a_service_is_an_image_of_ours_with_a_read_only_root(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["build"]["target"] == ("cuda" if name == "nvidia" else "cpu")
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "data:/data" in service["volumes"]
    for volume in service["volumes"]:
        assert volume.split(":")[0] in COMPOSE["volumes"]
    given = {key: value for key, value in service["environment"].items() if value is not None}
    values = {key: _filled(str(value)) for key, value in given.items()}
    settings = load([], values)  # raises where a value cannot be
    assert settings.notes == ()
    assert float(service["stop_grace_period"].removesuffix("s")) > settings.limits.stop_timeout


def _filled(value: str) -> str:
    """Put in what Compose would: a default, or what a person has to give."""
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}",
        lambda m: m[3] if m[2] == "-" else "0123456789abcdef",
        value,
    )


def service_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_the_gpu_the_socket_the_front_and_the_local_network_are_what_they_say() -> None:
    (device,) = service_of("nvidia")["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert service_of("nvidia")["environment"]["WYOMING_QWEN3TTS_MODEL"]
    socket = service_of("socket")
    assert socket["network_mode"] == "none"
    assert socket["environment"]["WYOMING_QWEN3TTS_URI"].startswith("unix:///run/speech/")
    assert "/run/speech" in str([step.text for step in all_of("cpu", "RUN")])
    assert "SPEECH_REMOTE_URI" in service_of("front")["environment"]["WYOMING_QWEN3TTS_REMOTE_URI"]
    lan = service_of("lan")
    assert lan["network_mode"] == "host"
    assert "ports" not in lan
    assert _filled(lan["environment"]["WYOMING_QWEN3TTS_ZEROCONF"]) == "true"


def test_prometheus_asks_who_is_there_with_the_key_and_grafana_draws_it() -> None:
    prometheus = yaml.safe_load((ROOT / "docker" / "prometheus.yaml").read_text())
    (job,) = prometheus["scrape_configs"]
    secret = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert secret in service_of("prometheus")["secrets"]
    assert COMPOSE["secrets"][secret] == {"environment": "SPEECH_API_KEY"}
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    for name in ("cpu", "nvidia", "front"):
        assert host in service_of(name)["networks"]["default"]["aliases"]
        assert "SPEECH_API_KEY" in service_of(name)["environment"]["WYOMING_QWEN3TTS_API_KEYS"]
    assert f"WYOMING_QWEN3TTS_HTTP_PORT={port}" in TEXT

    mounted = dict(volume.split(":")[:2] for volume in service_of("grafana")["volumes"])
    for source in mounted:
        assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source
    provisioning = ROOT / "docker" / "grafana"
    (place,) = [target for source, target in mounted.items() if source.endswith("docker/grafana")]
    assert place == "/etc/grafana/provisioning"
    (datasource,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    assert datasource["type"] == "prometheus"
    assert datasource["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "speech.yaml").read_text())["providers"]
    dashboard = mounted["./docs/grafana-dashboard.json"]
    assert Path(dashboard).parent == Path(provider["options"]["path"])


def test_images_of_others_have_a_version() -> None:
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service_of(name)["image"])


@pytest.mark.long
def test_the_image_with_the_model_has_what_the_engine_imports(tmp_path: Path) -> None:
    """Gigabytes are installed for it."""
    dockerfile.context(ROOT, (ROOT / ".dockerignore").read_text(), tmp_path / "context")
    build = Build(STAGES, tmp_path / "context", tmp_path)
    try:
        build.build("cuda")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd[-1]}: {error.stderr[-2000:]}")
    imports = """
import torch
from wyoming_qwen3tts.engines.qwen3 import checkpoint, worker
checkpoint.official_package()
print(torch.__version__)
"""
    python = build.root("cuda") / "opt" / "speech" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", imports], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1].partition("+")[0] == "2.13.0"
    with pytest.raises(FileNotFoundError):
        subprocess.run([str(python.with_name("pip")), "--version"], check=True)
    shutil.rmtree(tmp_path / "build-cuda", ignore_errors=True)
