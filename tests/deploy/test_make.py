"""What `make deploy` and `make undeploy` ask of kubectl; what kubectl then does is tested on a cluster."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.kustomize import DEVELOPMENT, PRODUCTION, kubectl, layer, render
from tests.deploy.test_another_consumer import another
from tests.processes import ROOT

# In kubectl's place: notes what it is asked, and answers an apply as the real one does.
STUB = """#!/bin/sh
echo "$@" >> "$ASKED"
case "$*" in
  kustomize*) exec {real} "$@" ;;
  *api-resources*)
    for kind in Deployment StatefulSet Service ConfigMap ServiceAccount Namespace Secret NetworkPolicy; do
      echo "shortname v1 true $kind"
    done ;;
  *"get secret"*)
    for name in producer-mq consumer-mq autoscaler-mq operator-mq rabbitmq-definitions rabbitmq-cookie; do
      echo "secret/$name"
    done ;;
  *apply*) test -z "$FAIL" || exit 1
    echo 'service/rabbitmq-service unchanged'
    echo 'deployment.apps/producer unchanged'
    echo 'deployment.apps/consumer configured' ;;
esac
"""
Make = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make("deploy", "OVERLAY=...", FAIL="yes")`: its exit code, and what kubectl was asked, a line each."""
    stub, asked = tmp_path / "kubectl", tmp_path / "asked"
    stub.write_text(STUB.format(real=kubectl()))
    stub.chmod(0o755)

    def run(*words: str, **env: str) -> tuple[int, list[str]]:
        asked.write_text("")
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        command = ["make", "--no-print-directory", "CONTEXT=test", *words]
        env = {**os.environ, "PATH": path, "ASKED": str(asked), "FAIL": "", **env}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
        lines = asked.read_text().splitlines()
        return done.returncode, [line for line in lines if not line.startswith("kustomize")]

    return run


@pytest.fixture
def name() -> Iterator[str]:
    """A namespace, for which `make` writes a layer."""
    made = f"test-{uuid.uuid4().hex[:8]}"
    yield made
    shutil.rmtree(ROOT / "build" / made)


def test_what_the_apply_left_as_it_was_is_restarted_since_its_image_may_be_another(make: Make) -> None:
    """The tag of development says nothing of what was built; an overlay with digests does."""
    code, asked = make("deploy")
    assert code == 0
    assert asked[:2] == [
        f"--context test apply -k {DEVELOPMENT.relative_to(ROOT)}",
        "--context test rollout restart -n mq-pair deployment.apps/producer",
    ]
    assert [line.split()[3] for line in asked[2:]] == ["status", "status"]
    code, asked = make("deploy", f"OVERLAY={PRODUCTION}")
    assert code == 0
    assert not any("restart" in line for line in asked)


def test_the_pair_is_deployed_to_the_namespace_of_its_overlay_and_removed_from_there(
    make: Make, tmp_path: Path
) -> None:
    """So that it can be in one cluster twice."""
    overlay = layer(tmp_path / "development", DEVELOPMENT, namespace="shop")
    _, deployed = make("deploy", f"OVERLAY={overlay}")
    _, removed = make("undeploy", f"OVERLAY={overlay}")
    asked = [line for line in deployed + removed if "apply" not in line and "api-resources" not in line]
    assert len(asked) == 4
    assert all("-n shop " in line or "--namespace shop " in line for line in asked), asked


@pytest.mark.parametrize("overlay", [DEVELOPMENT, PRODUCTION])
def test_a_namespace_of_ones_own_needs_no_overlay(make: Make, overlay: Path, name: str) -> None:
    words = (f"NAMESPACE={name}", f"OVERLAY={overlay.relative_to(ROOT)}")
    folder = ROOT / "build" / name / overlay.name
    code, deployed = make("deploy", *words)
    assert code == 0
    assert deployed[0] == f"--context test apply -k {folder.relative_to(ROOT)}"
    assert any("restart" in line for line in deployed) is (overlay == DEVELOPMENT)
    assert {each["metadata"]["namespace"] for each in render(folder) if each["kind"] != "Namespace"} == {name}
    _, removed = make("undeploy", *words)
    asked = [line for line in deployed[1:] + removed if "api-resources" not in line]
    assert all(f"-n {name} " in line or f"--namespace {name} " in line for line in asked), asked
    # An environment may have one for another purpose.
    _, usual = make("deploy", NAMESPACE=name)
    assert not any(name in line for line in usual)


def test_passwords_are_made_for_the_namespace_of_ones_own(make: Make, name: str) -> None:
    """Of production, if no overlay is named."""
    code, asked = make("rotate", f"NAMESPACE={name}")
    assert code == 0
    assert all(f"--namespace {name} " in line or f"-k build/{name}/production" in line for line in asked), asked


@pytest.mark.parametrize("target", ["deploy", "undeploy", "rotate"])
@pytest.mark.parametrize("wrong", ["", "two words", "Shop", "../shop"])
def test_what_is_no_name_of_a_namespace_is_refused(target: str, wrong: str, make: Make) -> None:
    code, asked = make(target, f"NAMESPACE={wrong}")
    assert code
    assert asked == []


def test_every_consumer_is_waited_for_and_gets_its_new_password(make: Make, tmp_path: Path) -> None:
    overlay = another(tmp_path / "overlay", PRODUCTION)
    deployments = ["deployment/producer", "deployment/consumer", "deployment/consumer-invoices"]
    for target in ("deploy", "rotate"):
        _, asked = make(target, f"OVERLAY={overlay}")
        waited = [word for line in asked if "rollout status" in line for word in line.split() if "deployment/" in word]
        assert sorted(waited) == sorted(deployments)
    (restart,) = [line for line in asked if "rollout restart" in line]
    assert sorted(word for word in restart.split() if "deployment/" in word) == sorted(deployments)


def test_an_apply_that_fails_ends_it(make: Make) -> None:
    """Though its output goes through a pipe."""
    code, asked = make("deploy", FAIL="yes")
    assert code
    assert len(asked) == 1


@pytest.mark.parametrize("target", ["deploy", "undeploy", "rotate"])
def test_without_a_context_nothing_is_asked_but_which_there_are(target: str, make: Make) -> None:
    """An empty one would swallow the next word."""
    code, asked = make(target, "CONTEXT=")
    assert code
    assert asked == ["config get-contexts -o name"]


def test_undeploy_leaves_the_namespace_and_the_secrets(make: Make) -> None:
    """A new password would not be the one that the broker's claim knows."""
    code, asked = make("undeploy")
    assert code == 0
    kinds = asked[-1].split()[-1].split(",")
    assert {"Deployment", "StatefulSet", "Service", "ConfigMap", "ServiceAccount"} <= {*kinds}
    assert not {"Secret", "Namespace", "PersistentVolumeClaim"} & {*kinds}


def test_undeploy_asks_for_no_kind_that_the_cluster_lacks(make: Make) -> None:
    """Kubectl would refuse it all; those of the Prometheus Operator are not everywhere."""
    code, asked = make("undeploy", f"OVERLAY={PRODUCTION}")
    assert code == 0
    kinds = asked[-1].split()[-1].split(",")
    assert "NetworkPolicy" in kinds
    assert not {"PodMonitor", "PrometheusRule"} & {*kinds}


def test_what_the_cluster_would_refuse_is_known_before_a_password_is_changed(make: Make) -> None:
    """Else pods would keep the old ones, which their broker no longer takes."""
    code, asked = make("rotate", FAIL="yes")
    assert code
    assert "apply --dry-run=server" in asked[-1]
    assert not any(verb in line for line in asked for verb in ("exec", "replace", "restart"))
    code, asked = make("rotate")
    assert code == 0
    verbs = [verb for line in asked for verb in ("dry-run", "exec", "replace", "apply -k", "restart") if verb in line]
    assert verbs == ["dry-run", "exec", "replace", "apply -k", "restart"]


@pytest.mark.parametrize("name", ["python", "python3"])
def test_a_python_of_the_virtual_environment_itself_does_not_wipe_it(name: str, tmp_path: Path) -> None:
    """As with `. .venv/bin/activate`. One that was interrupted before pip was in it is made anew."""
    venv, pip = tmp_path / "venv", tmp_path / "pip"
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    words = ["make", "--no-print-directory", "venv", f"VENV={venv}", f"PYTHON={venv}/bin/{name}", f"PIP={pip}"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], timeout=60, check=True)
    kept = venv / "kept"
    for there in (False, True):
        kept.touch()
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert kept.exists() is there
        (venv / f".ready-{name}").unlink()
